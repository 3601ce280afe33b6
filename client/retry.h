#ifndef CALSERVE_CLIENT_RETRY_H_
#define CALSERVE_CLIENT_RETRY_H_

#include <functional>
#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace calserve::client {

// When a call that failed is made again: exponential backoff with jitter, on UNAVAILABLE and
// RESOURCE_EXHAUSTED only.
struct RetryOptions {
  int max_attempts = 4;                                      // the first included; 1 never retries
  absl::Duration initial_backoff = absl::Milliseconds(100);  // before the second attempt
  absl::Duration max_backoff = absl::Seconds(5);             // growth stops here
  double multiplier = 2.0;                                   // growth from one attempt to the next, >= 1
  double jitter = 0.2;  // a backoff varies by this share of itself, [0, 1]: clients that failed together part
};

// INVALID_ARGUMENT with the option and its value.
absl::Status CheckRetryOptions(const RetryOptions& options);

// How long to wait before the next attempt after `attempts` that failed, the last with `error`; nullopt where
// there must be none: an error that a retry cannot mend, no attempt left, or a wait that would end at or
// after `deadline`. A server's RetryInfo is a lower bound of the wait, not jittered down. `random` is in [0,
// 1).
std::optional<absl::Duration> NextRetryDelay(const RetryOptions& options, const absl::Status& error,
                                             int attempts, absl::Time now, absl::Time deadline,
                                             double random);

// Waits for `delay`, or until `stopped`, by `wait`, which lets the channel connect meanwhile: in slices, for
// it cannot be woken.
void WaitInSlices(absl::Duration delay, const std::function<bool()>& stopped,
                  const std::function<void(absl::Duration)>& wait);

}  // namespace calserve::client

#endif  // CALSERVE_CLIENT_RETRY_H_
