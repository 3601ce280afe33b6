#ifndef CALSERVE_CALIBRATION_SET_ALPHAS_H_
#define CALSERVE_CALIBRATION_SET_ALPHAS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace calserve {

// The alphas of prediction sets: what share of true classes sets may miss.

// What a fit has thresholds for where nobody says.
inline constexpr double kDefaultSetAlphas[] = {0.1, 0.05};

// Alphas that differ by no more are the same.
inline constexpr double kSameSetAlpha = 1e-9;

// INVALID_ARGUMENT unless there are at most kMaxSetThresholds / 2, each in (0, 1) and given once.
absl::Status CheckSetAlphas(absl::Span<const double> alphas);

// With as many digits as tell it from every other number: "0.1", "0.1234567".
std::string SetAlphaText(double alpha);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_SET_ALPHAS_H_
