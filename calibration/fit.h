#ifndef CALSERVE_CALIBRATION_FIT_H_
#define CALSERVE_CALIBRATION_FIT_H_

#include <cstdint>
#include <functional>
#include <optional>
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
  // Told the stage ("fitting", "cross-validating") and its fraction; returning false cancels the fit
  // (CANCELLED).
  std::function<bool(const std::string& stage, double fraction)> progress;
};

struct FitReport {
  int64_t n = 0;
  bool converged = false;
  int iterations = 0;
  // The data do not determine a parameter: the temperature stopped at its bound of [0.01, 100]; or, of
  // Platt's, scores separate the classes, a class has no row, or every row was right, so that the smoothed
  // targets and not the data keep a slope finite.
  bool at_bound = false;
  CalibrationMetrics before, after;
  // Pooled over rows left out of the fit; unset without folds, or where all rows are alike and share one
  // fold.
  std::optional<CalibrationMetrics> cross_validated;
  int folds = 0;
  double changed_predictions = 0;  // share of rows whose predicted class differs from argmax of the logits
};

struct FitResult {
  CalibratorSpec spec;
  FitReport report;
};

// Fits a calibrator to N×K logits and N class indices. kPlatt on more than two classes is kPlattOneVsRest;
// kNone fits nothing and reports softmax. The "epsilon" 1 / (n + 1) joins a temperature only where it stops
// at its lowest. Deterministic, equal under permutation of the rows to 1e-9 relative, invariant to a constant
// added to a row. INVALID_ARGUMENT for bad values (names the row); FAILED_PRECONDITION where the data cannot
// support a fit (too few rows, one class only), saying what is missing; CANCELLED.
absl::StatusOr<FitResult> FitCalibrator(CalibrationMethod method, LogitsView logits,
                                        absl::Span<const int32_t> labels, const FitOptions& options = {});

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_FIT_H_
