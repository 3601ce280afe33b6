#ifndef CALSERVE_CALIBRATION_METRICS_CONFIDENCE_GROUPS_H_
#define CALSERVE_CALIBRATION_METRICS_CONFIDENCE_GROUPS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace calserve {

// Rows of one confidence: what every metric of confidence and correctness is computed from. A set of rows is
// its groups in increasing order of confidence, so that no metric depends on the order of rows, none splits
// ties, and sets merge exactly.
struct ConfidenceGroup {
  double confidence = 0;  // [0, 1]
  int64_t count = 0;      // rows, > 0
  int64_t correct = 0;    // of them right
  friend bool operator==(const ConfidenceGroup&, const ConfidenceGroup&) = default;
};

// The groups of N rows: confidence in [0, 1] and whether the prediction was right (0 or 1).
// INVALID_ARGUMENT as CheckTopLabel (labelled_rows.h).
absl::StatusOr<std::vector<ConfidenceGroup>> GroupByConfidence(absl::Span<const float> confidences,
                                                               absl::Span<const uint8_t> correct);

// The groups of the rows of both.
std::vector<ConfidenceGroup> MergeGroups(absl::Span<const ConfidenceGroup> a,
                                         absl::Span<const ConfidenceGroup> b);

// Number of rows.
int64_t CountRows(absl::Span<const ConfidenceGroup> groups);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_METRICS_CONFIDENCE_GROUPS_H_
