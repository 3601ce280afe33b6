#ifndef CALSERVE_CALIBRATION_LABEL_RING_H_
#define CALSERVE_CALIBRATION_LABEL_RING_H_

#include <cstdint>
#include <memory>

#include "absl/types/span.h"
#include "calibration/window_label.h"

namespace calserve {

// A score in 12 bytes: the confidence unaltered, its sign bit telling whether the prediction was right; NLL
// and Brier in units of 2^-24.
struct PackedScore {
  static constexpr uint32_t kNone = 0xFFFFFFFF;  // no logits
  float signed_confidence = 0;
  uint32_t nll = kNone;
  uint32_t brier = kNone;

  static PackedScore From(const WindowLabel::Score& score);
};

struct PackedLabel {
  int64_t time_micros = 0;
  PackedScore served;
  PackedScore uncalibrated;
};
static_assert(sizeof(PackedLabel) == 32);

// Labels by position, from first() to end(): a queue that can be read anywhere. Positions count from 0 and
// are never reused. Holds at most `bound` labels; the buffer doubles up to exactly that. A label takes 32
// bytes, and 8 more once one came with extras.
class LabelRing {
 public:
  // An empty ring whose first label will have position `first`.
  explicit LabelRing(int64_t bound, int64_t first = 0) : bound_(bound), first_(first), end_(first) {}
  LabelRing(LabelRing&&) = default;
  LabelRing& operator=(LabelRing&&) = default;

  int64_t bound() const { return bound_; }
  int64_t first() const { return first_; }
  int64_t end() const { return end_; }
  int64_t size() const { return end_ - first_; }
  int64_t bytes() const {
    const size_t extras = extras_ == nullptr ? 0 : sizeof(uint64_t);
    return capacity_ * static_cast<int64_t>(sizeof(PackedLabel) + extras);
  }

  // `position` in [first(), end()).
  const PackedLabel& At(int64_t position) const { return buffer_[Slot(position)]; }
  LabelExtras ExtrasAt(int64_t position) const {
    return extras_ == nullptr ? LabelExtras() : LabelExtras::FromBits(extras_[Slot(position)]);
  }

  // The labels held, without copying them: `older`, then `newer`. Stays as it is until the next PushBack,
  // whatever is dropped and from whatever thread, and may outlive the ring.
  struct View {
    std::shared_ptr<const PackedLabel[]> buffer;
    absl::Span<const PackedLabel> older, newer;
    // Of the same labels, as bits; null and empty where no label since the ring was made has any.
    std::shared_ptr<const uint64_t[]> extras;
    absl::Span<const uint64_t> older_extras, newer_extras;
  };
  View Labels() const;

  // size() < bound().
  void PushBack(const PackedLabel& label, const LabelExtras& extras = {});
  // Forgets the labels before `position`, at most end().
  void DropBefore(int64_t position);

 private:
  int64_t Slot(int64_t position) const {
    const int64_t slot = head_ + (position - first_);
    return slot < capacity_ ? slot : slot - capacity_;
  }
  void Resize(int64_t capacity);

  int64_t bound_;
  int64_t first_;
  int64_t end_;
  int64_t head_ = 0;      // slot of first_
  int64_t capacity_ = 0;  // labels
  std::shared_ptr<PackedLabel[]> buffer_;
  std::shared_ptr<uint64_t[]> extras_;  // in the same slots; null before the first that is not empty
};

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_LABEL_RING_H_
