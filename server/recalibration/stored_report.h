#ifndef CALSERVE_SERVER_RECALIBRATION_STORED_REPORT_H_
#define CALSERVE_SERVER_RECALIBRATION_STORED_REPORT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "calibration/metrics.h"
#include "calibration/metrics/detailed_metrics.h"
#include "server/feedback/store.h"
#include "server/monitoring/calibration_monitor.h"
#include "server/monitoring/label_scoring.h"

namespace calserve {

// Metrics of stored labels, as they were served and as plain softmax would have been, intervals included.
struct StoredMetrics {
  int64_t position = 0;  // of the newest row read; 0 where there is none
  CalibrationMetrics served, uncalibrated;
  std::optional<DetailedMetrics> served_details, uncalibrated_details;  // where asked for
  // As WindowReport's, of these rows. Of a selection of one calibrator version.
  std::vector<WindowReport::SetCoverage> set_coverage;
  std::optional<WeightedEstimates> weighted;
};

struct StoredMetricsOptions {
  int64_t max_rows = 0;  // the newest of the selection
  int bins = kDefaultBins;
  bool detailed = false;  // the DetailedMetrics too
  // Served is as if it had served the rows; null: as they were.
  std::shared_ptr<const Calibrator> shadow = nullptr;
  std::function<bool()> go_on = [] { return true; };  // asked now and then; false: CANCELLED
};

// Top-label metrics are of the confidence as served, NLL and Brier of the tickets' logits (LabelScorer).
// Waits for the store; holds 10 bytes a row; with details 20, and about 70 more while it measures a side.
absl::StatusOr<StoredMetrics> MeasureStored(Store& store, const LogSelection& selection,
                                            const StoredMetricsOptions& options, CalibratorLookup lookup);

}  // namespace calserve

#endif  // CALSERVE_SERVER_RECALIBRATION_STORED_REPORT_H_
