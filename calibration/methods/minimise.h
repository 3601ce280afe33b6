#ifndef CALSERVE_CALIBRATION_METHODS_MINIMISE_H_
#define CALSERVE_CALIBRATION_METHODS_MINIMISE_H_

#include <functional>
#include <vector>

#include "absl/types/span.h"

namespace calserve {

// A smooth convex function: its value at x, and its gradient written to `gradient`.
using SmoothFunction = std::function<double(absl::Span<const double> x, absl::Span<double> gradient)>;

struct Minimum {
  std::vector<double> x;
  int iterations = 0;   // evaluations of the function
  double gradient = 0;  // its largest element at x
  bool cancelled = false;
};

// By NLopt's L-BFGS, for many parameters: until no step descends any more. Deterministic. `keep_going` is
// asked before each evaluation.
Minimum MinimiseByLbfgs(const SmoothFunction& function, std::vector<double> start,
                        const std::function<bool()>& keep_going);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_METHODS_MINIMISE_H_
