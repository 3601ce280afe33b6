#ifndef CALSERVE_SERVER_BASE_TOKEN_BUCKET_H_
#define CALSERVE_SERVER_BASE_TOKEN_BUCKET_H_

#include <algorithm>

#include "absl/time/time.h"

namespace calserve {

// A rate with a burst: holds up to `burst` tokens, full at first, and gains `per_second` of them a second.
// Not thread-safe.
class TokenBucket final {
 public:
  TokenBucket(double burst, double per_second, absl::Time now)
      : burst_(burst), per_second_(per_second), held_(burst), as_of_(now) {}

  // False where not even one is held. `now` does not run backwards.
  bool Take(absl::Time now) {
    Refill(now);
    if (held_ < 1) return false;
    held_ -= 1;
    return true;
  }
  bool IsFull(absl::Time now) {
    Refill(now);
    return held_ >= burst_;
  }
  // Until one is held, as of the last call.
  absl::Duration UntilNext() const { return absl::Seconds(std::max(0.0, 1 - held_) / per_second_); }

 private:
  void Refill(absl::Time now) {
    held_ = std::min(burst_, held_ + per_second_ * absl::ToDoubleSeconds(now - as_of_));
    as_of_ = now;
  }

  double burst_, per_second_;
  double held_;  // may have a fraction
  absl::Time as_of_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_TOKEN_BUCKET_H_
