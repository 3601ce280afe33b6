#ifndef CALSERVE_CALIBRATION_TEMPERATURE_FIT_H_
#define CALSERVE_CALIBRATION_TEMPERATURE_FIT_H_

#include <functional>

#include "calibration/labelled_rows.h"

namespace calserve {

inline constexpr double kMinFittedTemperature = 1e-2;
inline constexpr double kMaxFittedTemperature = 1e2;

struct TemperatureFit {
  enum class Bound {
    kNone,    // the minimum of the likelihood, inside the bounds
    kLow,     // stopped at kMinFittedTemperature: every label is a largest logit, or the logits are tiny
    kHigh,    // stopped at kMaxFittedTemperature: the logits are worse than useless, or huge
    kNoData,  // every row's logits are equal (or there is no row), so any temperature does; 1 is taken
  };
  double temperature = 1;
  Bound bound = Bound::kNone;
  int iterations = 0;  // passes over all rows
  bool converged = false;
  bool cancelled = false;
};

// Minimises the mean negative log-likelihood of softmax(beta z), beta = 1 / T, which is convex in beta (Guo
// et al., 2017). Its gradient g(beta) = mean_i [E_p z_i - z_{i,y_i}] grows with beta: the root is sought in u
// = log beta by Halley steps, bracketed, until a step is below 1e-4 and so the error near 1e-12. float64
// throughout; O(rows · classes) a pass. `keep_going` is asked before each pass.
TemperatureFit FitTemperature(const LabelledRows& data, const std::function<bool()>& keep_going);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_TEMPERATURE_FIT_H_
