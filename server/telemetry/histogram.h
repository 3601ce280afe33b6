#ifndef CALSERVE_SERVER_TELEMETRY_HISTOGRAM_H_
#define CALSERVE_SERVER_TELEMETRY_HISTOGRAM_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "absl/time/time.h"

namespace calserve {

// What a histogram held at some moment.
struct HistogramValues {
  std::vector<double> bounds;   // upper ends, inclusive, increasing; one more bucket follows, without an end
  std::vector<int64_t> counts;  // of each bucket by itself: one more than bounds
  double sum = 0;

  int64_t count() const { return std::accumulate(counts.begin(), counts.end(), int64_t{0}); }
};

// How often something took how long, in buckets whose upper ends are `kBounds`, an increasing array of
// nanoseconds. Add is two additions without a lock. A reader sees each number as of some moment, so that the
// sum may lack, or be ahead by, what is being added. Thread-safe.
template <const auto& kBounds>
class DurationHistogram {
 public:
  void Add(absl::Duration duration) {
    // A clock that was set back must not take from the sum.
    const int64_t nanos = std::max<int64_t>(0, absl::ToInt64Nanoseconds(duration));
    const auto bucket = std::lower_bound(kBounds.begin(), kBounds.end(), nanos) - kBounds.begin();
    counts_[bucket].fetch_add(1, std::memory_order_relaxed);
    nanos_.fetch_add(nanos, std::memory_order_relaxed);
  }

  int64_t count() const {
    int64_t count = 0;
    for (const std::atomic<int64_t>& bucket : counts_) count += bucket.load(std::memory_order_relaxed);
    return count;
  }
  absl::Duration total() const { return absl::Nanoseconds(nanos_.load(std::memory_order_relaxed)); }

  // In seconds.
  HistogramValues values() const {
    HistogramValues values;
    for (const int64_t bound : kBounds) values.bounds.push_back(static_cast<double>(bound) / 1e9);
    for (const std::atomic<int64_t>& bucket : counts_)
      values.counts.push_back(bucket.load(std::memory_order_relaxed));
    values.sum = absl::ToDoubleSeconds(total());
    return values;
  }

 private:
  std::array<std::atomic<int64_t>, kBounds.size() + 1> counts_{};
  std::atomic<int64_t> nanos_{0};
};

namespace histogram_units {
inline constexpr int64_t kMicro = 1'000, kMilli = 1'000 * kMicro, kSecond = 1'000 * kMilli;
inline constexpr int64_t kMinute = 60 * kSecond, kHour = 60 * kMinute, kDay = 24 * kHour;
}  // namespace histogram_units

// Of what a machine does while somebody waits: a small model's part of a request to a long queue.
inline constexpr std::array<int64_t, 19> kServingBounds = {
    10 * histogram_units::kMicro,  25 * histogram_units::kMicro,    50 * histogram_units::kMicro,
    100 * histogram_units::kMicro, 250 * histogram_units::kMicro,   500 * histogram_units::kMicro,
    1 * histogram_units::kMilli,   2'500 * histogram_units::kMicro, 5 * histogram_units::kMilli,
    10 * histogram_units::kMilli,  25 * histogram_units::kMilli,    50 * histogram_units::kMilli,
    100 * histogram_units::kMilli, 250 * histogram_units::kMilli,   500 * histogram_units::kMilli,
    1 * histogram_units::kSecond,  2'500 * histogram_units::kMilli, 5 * histogram_units::kSecond,
    10 * histogram_units::kSecond};

// Of what people do: a label may come at once, or after as long as tickets live.
inline constexpr std::array<int64_t, 13> kLabelDelayBounds = {
    1 * histogram_units::kSecond, 10 * histogram_units::kSecond, 1 * histogram_units::kMinute,
    5 * histogram_units::kMinute, 15 * histogram_units::kMinute, 1 * histogram_units::kHour,
    3 * histogram_units::kHour,   12 * histogram_units::kHour,   1 * histogram_units::kDay,
    2 * histogram_units::kDay,    4 * histogram_units::kDay,     7 * histogram_units::kDay,
    14 * histogram_units::kDay};

using ServingHistogram = DurationHistogram<kServingBounds>;
using LabelDelayHistogram = DurationHistogram<kLabelDelayBounds>;

}  // namespace calserve

#endif  // CALSERVE_SERVER_TELEMETRY_HISTOGRAM_H_
