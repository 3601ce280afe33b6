#include "client/retry.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/errors.h"

namespace calserve::client {

absl::Status CheckRetryOptions(const RetryOptions& options) {
  if (options.max_attempts < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("retry.max_attempts must be >= 1; was ", options.max_attempts));
  }
  if (options.initial_backoff <= absl::ZeroDuration() || options.max_backoff < options.initial_backoff) {
    return absl::InvalidArgumentError(
        absl::StrCat("retry.initial_backoff must be > 0 and at most max_backoff; was ",
                     absl::FormatDuration(options.initial_backoff), " with max_backoff ",
                     absl::FormatDuration(options.max_backoff)));
  }
  if (!(options.multiplier >= 1) || !std::isfinite(options.multiplier)) {
    return absl::InvalidArgumentError(
        absl::StrCat("retry.multiplier must be >= 1; was ", options.multiplier));
  }
  if (!(options.jitter >= 0 && options.jitter <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat("retry.jitter must be in [0, 1]; was ", options.jitter));
  }
  return absl::OkStatus();
}

std::optional<absl::Duration> NextRetryDelay(const RetryOptions& options, const absl::Status& error,
                                             int attempts, absl::Time now, absl::Time deadline,
                                             double random) {
  if (!absl::IsUnavailable(error) && !absl::IsResourceExhausted(error)) return std::nullopt;
  if (attempts >= options.max_attempts) return std::nullopt;
  const absl::Duration grown = options.initial_backoff * std::pow(options.multiplier, attempts - 1);
  const double jitter = 1 + options.jitter * (2 * random - 1);
  const absl::Duration backoff = std::min(grown, options.max_backoff) * jitter;
  const absl::Duration delay = std::max(backoff, RetryAfter(error).value_or(absl::ZeroDuration()));
  if (now + delay >= deadline) return std::nullopt;
  return delay;
}

void WaitInSlices(absl::Duration delay, const std::function<bool()>& stopped,
                  const std::function<void(absl::Duration)>& wait) {
  constexpr absl::Duration kSlice = absl::Milliseconds(20);
  const absl::Time end = absl::Now() + delay;
  for (absl::Time now; !stopped() && (now = absl::Now()) < end;) wait(std::min(end - now, kSlice));
}

}  // namespace calserve::client
