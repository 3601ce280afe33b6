#ifndef CALSERVE_SERVER_MONITORING_LABEL_SELECTION_H_
#define CALSERVE_SERVER_MONITORING_LABEL_SELECTION_H_

#include "server/telemetry/issued_confidences.h"

namespace calserve {

// Whether the labelled predictions look like all of them. Only the confidence can be compared: labels chosen
// by whether the prediction was right, at equal confidence, look like this too.
enum class LabelSelection { kTooFewLabels, kNoDifference, kSelectiveLabels };

// With n of N predictions labelled, means m and M, and s^2 the variance of all N confidences, labels are
// SELECTIVE where
//   |m - M| > 0.01   and   |m - M| > 5 s sqrt((1 - n/N) / n),
// five standard errors of the mean of n drawn from N without replacement: as many, since it is looked at
// after every label. kTooFewLabels below n = 100, and where n exceeds N. (Cochran, 1977, "Sampling
// techniques", 2.6.)
inline constexpr int64_t kLeastLabelsToCompare = 100;
inline constexpr double kLeastDifference = 0.01;
LabelSelection CompareLabelled(const ConfidenceSums& labelled, const ConfidenceSums& issued);

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_LABEL_SELECTION_H_
