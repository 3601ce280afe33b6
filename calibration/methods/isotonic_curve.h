#ifndef CALSERVE_CALIBRATION_METHODS_ISOTONIC_CURVE_H_
#define CALSERVE_CALIBRATION_METHODS_ISOTONIC_CURVE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "calibration/parameter_reader.h"

namespace calserve {

// A function that never falls: linear between its knots, constant outside them.
struct IsotonicCurve {
  std::vector<double> thresholds;  // rising
  std::vector<double> values;      // in [0, 1], one a threshold, never falling

  double At(double score) const;
};

// The least-squares fit of such a function to 0 and 1 (pool adjacent violators), O(n log n). Rows of equal
// score are one point at their mean. Values are clipped to [1 / (n + 2), (n + 1) / (n + 2)], since 0 and 1
// would cost an unbounded loss. Of every level only the first and the last score are kept as knots. One or
// more rows; the order of rows does not matter.
IsotonicCurve FitIsotonic(absl::Span<const double> scores, absl::Span<const uint8_t> positive);

// `count` curves from the parameters "threshold" and "value", one curve's after another's, and, for more than
// one, "knots", how many each has.
std::vector<IsotonicCurve> ReadIsotonic(int count, ParameterReader* reader);
// Appends the parameters that ReadIsotonic reads.
void WriteIsotonic(const std::vector<IsotonicCurve>& curves,
                   std::vector<CalibratorSpec::Parameter>* parameters);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_METHODS_ISOTONIC_CURVE_H_
