#ifndef CALSERVE_TESTS_BENCHMARKS_LOAD_OPEN_LOOP_H_
#define CALSERVE_TESTS_BENCHMARKS_LOAD_OPEN_LOOP_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "calserve/v1/prediction.pb.h"

namespace calserve::load {

struct OpenLoopResult {
  double offered_per_second = 0;   // as asked for and as sent
  double answered_per_second = 0;  // with a prediction
  absl::Duration answered_p50, answered_p99;
  int64_t refused = 0;  // RESOURCE_EXHAUSTED
  absl::Duration refused_p50, refused_p99;
  int64_t failed = 0;  // anything else
};

// Sends `request` at random times (a Poisson process of `per_second`) for `duration`, whether or not earlier
// calls have been answered, over four connections; then waits for the last answer.
OpenLoopResult RunOpenLoop(const std::string& address, const v1::PredictRequest& request, double per_second,
                           absl::Duration duration);

}  // namespace calserve::load

#endif  // CALSERVE_TESTS_BENCHMARKS_LOAD_OPEN_LOOP_H_
