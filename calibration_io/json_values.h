#ifndef CALSERVE_CALIBRATION_IO_JSON_VALUES_H_
#define CALSERVE_CALIBRATION_IO_JSON_VALUES_H_

#include "calibration/calibrator.h"
#include "calibration/fit.h"
#include "calibration/metrics.h"
#include "calibration/metrics/detailed_metrics.h"
#include "nlohmann/json.hpp"

namespace calserve {

// Values of calibration/ as JSON objects, for a program that puts them into a larger document. Keys stand in
// a fixed order; what is unset is null.

// n, n_effective, accuracy, mean_confidence, ece, ece_low, ece_high, noise_floor, mce, n_with_logits, nll,
// brier, bins [{lower, upper, count, confidence, accuracy}].
nlohmann::ordered_json MetricsToJsonValue(const CalibrationMetrics& metrics);

// Keys and nesting of the message DetailedMetrics; an estimate is {value, low, high}, a test {statistic,
// p_value}.
nlohmann::ordered_json DetailsToJsonValue(const DetailedMetrics& details);

// n, converged, iterations, at_bound, folds, changed_predictions, before, after, cross_validated, holdout,
// selected_optimistic, comparison [{method, failure, ece, nll, brier, accuracy_change, nll_excess,
// standard_error, seconds}].
nlohmann::ordered_json FitReportToJsonValue(const FitReport& report);

// {name: number, or [number] for one a class}.
nlohmann::ordered_json ParametersToJsonValue(const CalibratorSpec& spec);

// [{method, alpha, threshold, n}].
nlohmann::ordered_json SetThresholdsToJsonValue(const CalibratorSpec& spec);

// A fit in one flat object: method, classes, parameters, nll_before, nll_after, nll_cross_validated,
// ece_before, ece_after, the metrics of the calibrated rows (as a report has them), and all of
// FitReportToJsonValue, and set_thresholds.
nlohmann::ordered_json FitToJsonValue(const CalibratorSpec& spec, const FitReport& report);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_IO_JSON_VALUES_H_
