#ifndef CALSERVE_CLIENT_CLI_OFFLINE_COLUMNS_H_
#define CALSERVE_CLIENT_CLI_OFFLINE_COLUMNS_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "calibration/calibrator.h"
#include "calibration/logits.h"
#include "client/cli/metrics_table.h"

namespace calserve::cli {

// Labelled logits, and how calibrators are measured on them. The views outlive the object.
struct OfflineData {
  LogitsView logits;
  absl::Span<const int32_t> labels;
  int bins = kDefaultBins;
  bool details = false;
  std::vector<std::string> class_names;  // of all classes, or empty
};

// What `calibrator` does with every row.
absl::StatusOr<NamedMetrics> ColumnOfCalibrator(const Calibrator& calibrator, std::string name,
                                                const OfflineData& data);

// What `method` does with each row, fitted to the rows of the other folds. `progress` is told the share done.
absl::StatusOr<NamedMetrics> ColumnOfMethod(CalibrationMethod method, int folds, const OfflineData& data,
                                            const std::function<void(double fraction)>& progress);

// Calibrations by the names of methods, "none" and "all" among them, as so many classes have them, each once.
absl::StatusOr<std::vector<CalibrationMethod>> MethodsNamed(const std::vector<std::string>& names,
                                                            int classes);

// A name a line, "\r" and the last line's end left out. INVALID_ARGUMENT unless there are `classes`.
absl::StatusOr<std::vector<std::string>> ReadClassNames(const std::string& path, int classes);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_OFFLINE_COLUMNS_H_
