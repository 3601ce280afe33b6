#ifndef CALSERVE_SERVER_MONITORING_STEADY_TIME_H_
#define CALSERVE_SERVER_MONITORING_STEADY_TIME_H_

#include <chrono>

#include "absl/time/time.h"

namespace calserve {

// Time since some fixed moment, never running backwards: for intervals, where the wall clock may be set.
inline absl::Duration SteadyNow() {
  return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_STEADY_TIME_H_
