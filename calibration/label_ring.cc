#include "calibration/label_ring.h"

#include <algorithm>
#include <cmath>
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

void LabelRing::PushBack(const PackedLabel& label) {
  if (size() == capacity()) Resize(std::min(bound_, std::max(kMinCapacity, 2 * capacity())));
  ++end_;
  buffer_[Slot(end_ - 1)] = label;
}

void LabelRing::DropBefore(int64_t position) {
  if (position <= first_) return;
  head_ = Slot(position);
  first_ = position;
  if (capacity() > kMinCapacity && size() <= capacity() / 4)
    Resize(std::min(bound_, std::max(kMinCapacity, 2 * size())));
}

void LabelRing::Resize(int64_t capacity) {
  std::vector<PackedLabel> buffer(capacity);
  for (int64_t i = 0; i < size(); ++i) buffer[i] = At(first_ + i);
  buffer_ = std::move(buffer);
  head_ = 0;
}

}  // namespace calserve
