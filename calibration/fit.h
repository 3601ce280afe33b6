#ifndef CALSERVE_CALIBRATION_FIT_H_
#define CALSERVE_CALIBRATION_FIT_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "calibration/calibrator.h"
#include "calibration/logits.h"
#include "calibration/metrics.h"

namespace calserve {

struct FitOptions {
  int folds = 5;            // of the cross-validation, 2 to 20; 0 leaves it out
  int bins = kDefaultBins;  // of the reports
  int64_t min_rows = 30;    // fewer labels cannot support a fit
  // Told the stage ("fitting", "cross-validating") and its fraction; returning false cancels the fit (CANCELLED).
  std::function<bool(const std::string& stage, double fraction)> progress;
};

struct FitReport {
  int64_t n = 0;
  bool converged = false;
  int iterations = 0;
  bool at_bound = false;  // a parameter stopped at its bound: the data do not determine it
  CalibrationMetrics before, after;
  std::optional<CalibrationMetrics> cross_validated;  // on rows left out of the fit
  int folds = 0;
  double changed_predictions = 0;  // share of rows whose predicted class differs from argmax of the logits
};

struct FitResult {
  CalibratorSpec spec;
  FitReport report;
};

// Fits a calibrator to N×K logits and N class indices. kPlatt on more than two classes is kPlattOneVsRest.
// Deterministic, equal under permutation of the rows to 1e-9 relative, invariant to a constant added to a row.
// INVALID_ARGUMENT for bad values (names the row); FAILED_PRECONDITION where the data cannot support a fit
// (too few rows, one class only), saying what is missing; CANCELLED.
absl::StatusOr<FitResult> FitCalibrator(CalibrationMethod method, LogitsView logits,
                                        absl::Span<const int32_t> labels, const FitOptions& options = {});

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_FIT_H_
