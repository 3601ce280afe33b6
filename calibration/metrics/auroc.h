#ifndef CALSERVE_CALIBRATION_METRICS_AUROC_H_
#define CALSERVE_CALIBRATION_METRICS_AUROC_H_

#include <optional>

#include "absl/types/span.h"
#include "calibration/metrics/confidence_groups.h"
#include "calibration/metrics/estimate.h"

namespace calserve {

// The probability that a row that was right has the larger confidence than one that was wrong, ties half: the
// area under the ROC curve of confidence against correctness (Hanley and McNeil, 1982), with DeLong's
// interval (DeLong et al., 1988), where the rows of each kind differ in how many of the other they beat.
// Unset where all rows are right, or all wrong.
std::optional<Estimate> ConfidenceAuroc(absl::Span<const ConfidenceGroup> groups);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_METRICS_AUROC_H_
