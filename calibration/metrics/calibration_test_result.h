#ifndef CALSERVE_CALIBRATION_METRICS_CALIBRATION_TEST_RESULT_H_
#define CALSERVE_CALIBRATION_METRICS_CALIBRATION_TEST_RESULT_H_

#include <optional>

namespace calserve {

// A test of the hypothesis that the model is calibrated: a row is right with the probability that its
// confidence says, independently of the others. For one look at a fixed number of rows; whoever looks again
// and again needs an e-value.
struct CalibrationTestResult {
  std::optional<double> statistic;  // unset where it is not finite: all confidences are certain
  double p_value = 1;               // of a statistic at least so extreme, [0, 1]; small: not calibrated
  friend bool operator==(const CalibrationTestResult&, const CalibrationTestResult&) = default;
};

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_METRICS_CALIBRATION_TEST_RESULT_H_
