#ifndef CALSERVE_CALIBRATION_METRICS_CUMULATIVE_TESTS_H_
#define CALSERVE_CALIBRATION_METRICS_CUMULATIVE_TESTS_H_

#include "absl/types/span.h"
#include "calibration/metrics/calibration_test_result.h"
#include "calibration/metrics/confidence_groups.h"

namespace calserve {

// Tests on the walk C_j = sum over the j least confident rows of (correct - confidence), C_0 = 0, in units of
// its standard deviation sqrt(sum c (1 - c)): of a calibrated model it becomes Brownian motion on [0, 1]
// (Arrieta-Ibarra et al., 2022: ECCE-MAD and ECCE-R). The walk is looked at between groups only, so that the
// order of rows of equal confidence does not count. p-values are asymptotic.
//   Kolmogorov-Smirnov: max |C_j|        Kuiper: max C_j - min C_j, C_0 among them
CalibrationTestResult KolmogorovSmirnovTest(absl::Span<const ConfidenceGroup> groups);
CalibrationTestResult KuiperTest(absl::Span<const ConfidenceGroup> groups);

// P(max |B| > x) and P(max B - min B > x) of Brownian motion B on [0, 1] from 0, x >= 0, to 1e-14 absolute
// (Darling and Siegert, 1953; Feller, 1951): two series each, one for small and one for large x, where
// 1 - CDF would leave no digit.
double BrownianMaximumTail(double x);
double BrownianRangeTail(double x);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_METRICS_CUMULATIVE_TESTS_H_
