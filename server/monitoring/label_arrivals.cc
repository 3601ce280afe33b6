#include "server/monitoring/label_arrivals.h"

#include <algorithm>
#include <bit>

namespace calserve {

// The octave is that of the leading bit, and the three bits after it are the eighth.
int LabelArrivals::BucketOf(int64_t millis) {
  const uint64_t value = static_cast<uint64_t>(std::max<int64_t>(millis, 1));
  const int octave = std::bit_width(value) - 1;
  const uint64_t eighth = octave >= 3 ? value >> (octave - 3) & 7 : value << (3 - octave) & 7;
  return std::min(kBuckets - 1, 8 * octave + static_cast<int>(eighth));
}

absl::Duration LabelArrivals::MiddleOf(int bucket) {
  const double octave = static_cast<double>(int64_t{1} << (bucket / 8));
  return absl::Milliseconds(octave * (1 + (bucket % 8 + 0.5) / 8));
}

void LabelArrivals::Add(double confidence, absl::Duration delay, bool counted) {
  if (counted) labelled_.Add(confidence);
  const int64_t millis = std::clamp<int64_t>(absl::ToInt64Milliseconds(delay), 0, int64_t{1} << 40);
  ++labels_;
  delay_millis_ += millis;
  ++buckets_[BucketOf(millis)];
}

LabelArrivals::Summary LabelArrivals::summary() const {
  Summary summary;
  summary.labelled = labelled_;
  summary.labels = labels_;
  if (labels_ == 0) return summary;
  summary.mean_delay = absl::Milliseconds(delay_millis_) / labels_;
  int64_t before = 0;
  int bucket = 0;
  while (before + buckets_[bucket] < (labels_ + 1) / 2) before += buckets_[bucket++];
  summary.median_delay = MiddleOf(bucket);
  return summary;
}

}  // namespace calserve
