#include "calibration/label_ring.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace calserve {
namespace {

constexpr int64_t kMinCapacity = 64;

uint32_t FixedPoint(float value) {
  if (value == WindowLabel::kNoLogits) return PackedScore::kNone;
  return static_cast<uint32_t>(static_cast<double>(value) * 0x1p24 + 0.5);
}

}  // namespace

PackedScore PackedScore::From(const WindowLabel::Score& score) {
  return {std::copysign(score.confidence, score.correct ? -1.0f : 1.0f), FixedPoint(score.nll),
          FixedPoint(score.brier)};
}

LabelRing::View LabelRing::Labels() const {
  const int64_t until_wrap = std::min(size(), capacity_ - head_);
  const auto older = static_cast<size_t>(until_wrap), newer = static_cast<size_t>(size() - until_wrap);
  View view{buffer_, {buffer_.get() + head_, older}, {buffer_.get(), newer}, extras_, {}, {}};
  if (extras_ != nullptr) {
    view.older_extras = {extras_.get() + head_, older};
    view.newer_extras = {extras_.get(), newer};
  }
  return view;
}

void LabelRing::PushBack(const PackedLabel& label, const LabelExtras& extras) {
  if (size() == capacity_) Resize(std::min(bound_, std::max(kMinCapacity, 2 * capacity_)));
  ++end_;
  buffer_[Slot(end_ - 1)] = label;
  if (extras_ == nullptr && extras.empty()) return;
  if (extras_ == nullptr) extras_ = std::make_shared<uint64_t[]>(static_cast<size_t>(capacity_));
  extras_[Slot(end_ - 1)] = extras.bits();
}

void LabelRing::DropBefore(int64_t position) {
  if (position <= first_) return;
  head_ = Slot(position);
  first_ = position;
  if (capacity_ > kMinCapacity && size() <= capacity_ / 4)
    Resize(std::min(bound_, std::max(kMinCapacity, 2 * size())));
}

void LabelRing::Resize(int64_t capacity) {
  auto buffer = std::make_shared<PackedLabel[]>(static_cast<size_t>(capacity));
  const View labels = Labels();
  std::copy(labels.newer.begin(), labels.newer.end(),
            std::copy(labels.older.begin(), labels.older.end(), buffer.get()));
  if (extras_ != nullptr) {
    auto extras = std::make_shared<uint64_t[]>(static_cast<size_t>(capacity));
    std::copy(labels.newer_extras.begin(), labels.newer_extras.end(),
              std::copy(labels.older_extras.begin(), labels.older_extras.end(), extras.get()));
    extras_ = std::move(extras);
  }
  buffer_ = std::move(buffer);
  capacity_ = capacity;
  head_ = 0;
}

}  // namespace calserve
