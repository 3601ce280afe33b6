#ifndef CALSERVE_CALIBRATION_METRICS_SPIEGELHALTER_H_
#define CALSERVE_CALIBRATION_METRICS_SPIEGELHALTER_H_

#include "absl/types/span.h"
#include "calibration/metrics/calibration_test_result.h"
#include "calibration/metrics/confidence_groups.h"

namespace calserve {

// Z = sum (y - c) (1 - 2c) / sqrt(sum (1 - 2c)^2 c (1 - c)), y whether right, c the confidence: the Brier
// score less its expectation in standard deviations (Spiegelhalter, 1986). Below 0 the model is better than
// it says, above 0 worse, where confidences are above 1/2. The p-value is two-sided, by the normal
// distribution.
CalibrationTestResult SpiegelhalterTest(absl::Span<const ConfidenceGroup> groups);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_METRICS_SPIEGELHALTER_H_
