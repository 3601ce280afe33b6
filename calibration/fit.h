#ifndef CALSERVE_CALIBRATION_FIT_H_
#define CALSERVE_CALIBRATION_FIT_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "calibration/calibrator.h"
#include "calibration/choose_method.h"
#include "calibration/labelled_rows.h"
#include "calibration/logits.h"
#include "calibration/metrics.h"

namespace calserve {

struct FitOptions {
  int folds = 5;  // of the cross-validation, 2 to 20; 0 leaves it out
  // > 0: instead of folds, judge on about this share of the rows, at most 0.9; at least 10 rows are expected
  // of it
  double holdout = 0;
  int outer_folds = 0;      // of kAuto: judge the choosing too, on folds around it, 2 to 20; 0 leaves it out
  int bins = kDefaultBins;  // of the reports
  int64_t min_rows = 30;    // fewer labels cannot support a fit
  // What the method may take beside the logits (BytesOfFit); 0: no limit. A method that would take more is
  // out of kAuto's comparison, and FAILED_PRECONDITION by itself.
  int64_t max_bytes = 0;
  // Of prediction sets, as CheckSetAlphas takes them: thresholds of both scores, from the rows left out of
  // the folds' (or the holdout's) fits. Needs folds or holdout. docs/calibration.md has what that promises.
  std::vector<double> set_alphas = {};
  // Told the stage ("comparing" for kAuto, "fitting", "cross-validating") and its fraction; returning false
  // cancels the fit (CANCELLED).
  std::function<bool(const std::string& stage, double fraction)> progress;
};

struct FitReport {
  int64_t n = 0;
  bool converged = false;
  int iterations = 0;
  // The data do not determine a parameter: a temperature (or a row's, where they adapt) stopped at its bound
  // of [0.01, 100]; of Platt's, beta's and scaling-binning's fits, scores separate the classes, a class has
  // no row, or every row was right, so that the smoothed targets and not the data keep a slope finite; or
  // beta found that the score says nothing.
  bool at_bound = false;
  CalibrationMetrics before, after;
  // Over rows left out of the fit, pooled; unset without folds and holdout, or where all rows are alike.
  std::optional<CalibrationMetrics> cross_validated;
  int folds = 0;                   // that it is pooled over; of kAuto the outer ones, where it has them
  double holdout = 0;              // or the share of the rows that it is over
  double changed_predictions = 0;  // share of rows whose predicted class differs from argmax of the logits
  std::vector<MethodComparison> comparison;  // of kAuto, in order of simplicity
  // cross_validated is of a method chosen by these very rows, and so looks a little better than it is.
  bool selected_optimistic = false;
};

struct FitResult {
  CalibratorSpec spec;
  FitReport report;
};

// Fits a calibrator to N×K logits and N class indices. A method of two classes that has a one-vs-rest form
// becomes that on more; kNone fits nothing and reports softmax. Deterministic, the same to the bit for rows
// in another order, invariant to a constant added to a row. INVALID_ARGUMENT for bad values (names the row);
// FAILED_PRECONDITION where the data cannot support a fit (too few rows, one class only), saying what is
// missing; CANCELLED.
//
// kAuto compares all methods by cross-validation (or holdout) and fits the simplest that is as likely as the
// best: see ChooseMethod. FAILED_PRECONDITION where a class has fewer rows than there are folds.
absl::StatusOr<FitResult> FitCalibrator(CalibrationMethod method, LogitsView logits,
                                        absl::Span<const int32_t> labels, const FitOptions& options = {});

// Visits rows with what `method`, fitted to the rows of the other folds, makes of them: each row once, or
// with options.holdout the rows held out. So figures over them are of rows that no fit has seen, and those of
// several methods are over the same rows. The order of the visits depends on the rows' content alone. Not
// kAuto: INVALID_ARGUMENT. Other errors as FitCalibrator; FAILED_PRECONDITION where the rows cannot be split.
absl::Status VisitOutOfFold(CalibrationMethod method, LogitsView logits, absl::Span<const int32_t> labels,
                            const FitOptions& options, absl::FunctionRef<void(const AppliedRow&)> visit);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_FIT_H_
