#ifndef CALSERVE_CLIENT_CLI_COLUMN_SCORES_H_
#define CALSERVE_CLIENT_CLI_COLUMN_SCORES_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "calibration/labelled_rows.h"
#include "calibration/metrics/classwise.h"
#include "calibration/metrics/detailed_metrics.h"
#include "calibration/metrics_accumulator.h"
#include "client/cli/metrics_table.h"

namespace calserve::cli {

// Adds up everything that a report says of one calibrator, row by row. O(K bins) memory, and with details 5
// bytes a row. Not thread-safe.
class ColumnScores {
 public:
  ColumnScores(int classes, int bins, bool details);

  void Add(const AppliedRow& row);
  // With the interval of the ECE and the diagrams of the most frequent classes; `class_names` of all classes,
  // or empty.
  absl::StatusOr<NamedMetrics> Column(std::string name, const std::vector<std::string>& class_names) const;

 private:
  const int classes_;
  MetricsAccumulator metrics_;
  std::optional<DetailedAccumulator> details_;
  ClasswiseSums sums_;
};

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_COLUMN_SCORES_H_
