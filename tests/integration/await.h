#ifndef CALSERVE_TESTS_INTEGRATION_AWAIT_H_
#define CALSERVE_TESTS_INTEGRATION_AWAIT_H_

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace calserve::integration {

// Whether `condition` holds within 20 seconds; looked at every millisecond.
template <typename Condition>
bool Await(Condition condition) {
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (!condition() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(1));
  return condition();
}

}  // namespace calserve::integration

#endif  // CALSERVE_TESTS_INTEGRATION_AWAIT_H_
