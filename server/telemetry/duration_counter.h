#ifndef CALSERVE_SERVER_TELEMETRY_DURATION_COUNTER_H_
#define CALSERVE_SERVER_TELEMETRY_DURATION_COUNTER_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "absl/time/time.h"

namespace calserve {

// How often something happened and how long it took, all together. Two additions without a lock; a reader
// sees each of the two as of some moment. Thread-safe.
class DurationCounter {
 public:
  void Add(absl::Duration duration) {
    // A clock that was set back must not take from the sum.
    nanos_.fetch_add(std::max<int64_t>(0, absl::ToInt64Nanoseconds(duration)), std::memory_order_relaxed);
    count_.fetch_add(1, std::memory_order_relaxed);
  }
  int64_t count() const { return count_.load(std::memory_order_relaxed); }
  absl::Duration total() const { return absl::Nanoseconds(nanos_.load(std::memory_order_relaxed)); }

 private:
  std::atomic<int64_t> count_{0};
  std::atomic<int64_t> nanos_{0};
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_TELEMETRY_DURATION_COUNTER_H_
