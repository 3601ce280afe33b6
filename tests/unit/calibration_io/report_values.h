#ifndef CALSERVE_TESTS_UNIT_CALIBRATION_IO_REPORT_VALUES_H_
#define CALSERVE_TESTS_UNIT_CALIBRATION_IO_REPORT_VALUES_H_

#include <optional>

#include "calibration/fit.h"
#include "calibration/metrics/detailed_metrics.h"
#include "tests/unit/calibration/same_metrics.h"

namespace calserve {

// Reports whose every field has a value of its own, none of them short in decimal.
inline CalibrationMetrics SomeMetrics(double seed) {
  CalibrationMetrics out;
  out.n = 1000 + static_cast<int64_t>(seed);
  out.n_effective = 1000.1 / 3 + seed;
  out.accuracy = 1.0 / 3;
  out.mean_confidence = 2.0 / 3;
  out.ece = 0.1 / 3;
  out.ece_low = 0.05 / 3;
  out.ece_high = 0.2 / 3;
  out.noise_floor = 0.01 / 3;
  out.mce = 0.5 / 3;
  out.n_with_logits = 999;
  out.nll = 0.7 / 3 + seed;
  out.brier = 0.4 / 3;
  out.bins = {{0, 0.5, 10.0 / 3, 0.1 / 7, 0.2 / 7}, {0.5, 1, 20, 0.9 / 7, 1e-300}};
  return out;
}

inline DetailedMetrics SomeDetails() {
  DetailedMetrics out;
  out.n = 1001;
  out.accuracy = {1.0 / 3, 0.9 / 3, 1.1 / 3};
  out.confidence_gap = {-0.1 / 3, -0.2 / 3, 0.1 / 7};
  out.adaptive_ece = {0.2 / 3, 0.0, 0.3 / 3};
  out.rms_calibration_error = 0.4 / 3;
  out.debiased_l2 = {0.5 / 3, 0.4 / 7, 0.6 / 3};
  out.mce = 0.7 / 3;
  out.mce_least_count = 31;
  out.ece_sweep = 0.8 / 3;
  out.ece_sweep_bins = 17;
  out.smooth_ece = 0.9 / 7;
  out.kolmogorov_smirnov = {1.1 / 3, 0.1 / 7};
  out.kuiper = {1.2 / 3, 0.2 / 7};
  out.spiegelhalter = {-1.3 / 3, 0.3 / 7};
  out.debiased_test = {std::nullopt, 0.4 / 7};
  out.auroc = {0.85 / 3, 0.8 / 3, 0.95 / 3};
  out.n_with_logits = 999;
  out.nll = {2.0 / 3, 1.9 / 3, 2.1 / 3};
  out.brier = {0.5 / 7, std::nullopt, std::nullopt};
  out.brier_parts = {0.1 / 9, 0.2 / 9, 0.3 / 9, -0.1 / 11};
  out.classwise_ece = 0.01 / 3;
  out.classwise_ece_thresholded = 0.02 / 3;
  out.class_threshold = 0.01;
  return out;
}

inline FitReport SomeFitReport() {
  FitReport out;
  out.n = 5000;
  out.converged = true;
  out.iterations = 6;
  out.at_bound = true;
  out.before = SomeMetrics(1);
  out.after = SomeMetrics(2);
  out.after.nll.reset();
  out.after.ece_low.reset();
  out.cross_validated = SomeMetrics(3);
  out.folds = 5;
  out.changed_predictions = 0.1 / 3;
  out.comparison = {
      {CalibrationMethod::kTemperature, "", 0.1 / 7, 0.2 / 7, 0.3 / 7, -0.4 / 7, 0.5 / 7, 0.6 / 7, 0.7 / 7},
      {CalibrationMethod::kBeta, "needs 2 classes"}};
  out.selected_optimistic = true;
  out.holdout = 0.7 / 3;
  return out;
}

inline void ExpectSameReport(const FitReport& a, const FitReport& b) {
  EXPECT_EQ(a.n, b.n);
  EXPECT_EQ(a.converged, b.converged);
  EXPECT_EQ(a.iterations, b.iterations);
  EXPECT_EQ(a.at_bound, b.at_bound);
  EXPECT_EQ(a.folds, b.folds);
  EXPECT_EQ(a.changed_predictions, b.changed_predictions);
  EXPECT_EQ(a.comparison, b.comparison);
  EXPECT_EQ(a.selected_optimistic, b.selected_optimistic);
  EXPECT_EQ(a.holdout, b.holdout);
  ExpectSameMetrics(a.before, b.before);
  ExpectSameMetrics(a.after, b.after);
  ASSERT_EQ(a.cross_validated.has_value(), b.cross_validated.has_value());
  if (a.cross_validated.has_value()) ExpectSameMetrics(*a.cross_validated, *b.cross_validated);
}

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_CALIBRATION_IO_REPORT_VALUES_H_
