#ifndef CALSERVE_CALIBRATION_PLATT_FIT_H_
#define CALSERVE_CALIBRATION_PLATT_FIT_H_

#include <cstdint>
#include <functional>

#include "absl/types/span.h"

namespace calserve {

// p(positive | f) = 1 / (1 + exp(slope f + offset)).
struct PlattFit {
  double slope = 0;
  double offset = 0;
  int iterations = 0;
  bool converged = false;
  bool cancelled = false;
  // No threshold on f separates the classes, so that the data and not only the targets' smoothing bound the
  // slope.
  bool overlapping = false;
};

// Platt's method as Lin, Lin and Weng (2007) solve it: the cross-entropy against the smoothed targets
// (N+ + 1) / (N+ + 2) and 1 / (N- + 2), by Newton steps with backtracking. Always finite, also where a class
// has no row or the scores separate the classes. `scores` are finite logits or log-probabilities, `positive`
// 0 or 1 each. `keep_going` is asked before each step.
PlattFit FitPlatt(
    absl::Span<const double> scores, absl::Span<const uint8_t> positive,
    const std::function<bool()>& keep_going = [] { return true; });

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_PLATT_FIT_H_
