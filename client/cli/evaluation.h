#ifndef CALSERVE_CLIENT_CLI_EVALUATION_H_
#define CALSERVE_CLIENT_CLI_EVALUATION_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "calibration/metrics.h"
#include "client/types.h"

namespace calserve::cli {

// Measures predictions against labels as they come: the probabilities as served, and plain softmax beside
// them. Holds a few numbers a row. Not thread-safe.
class Evaluation {
 public:
  // `prediction` must carry probabilities and logits, of `label`'s model.
  absl::Status Add(const client::Prediction& prediction, int32_t label);

  int64_t n() const { return static_cast<int64_t>(served_.correct.size()); }
  // With intervals.
  absl::StatusOr<CalibrationMetrics> Served() const { return Measure(served_); }
  absl::StatusOr<CalibrationMetrics> Uncalibrated() const { return Measure(uncalibrated_); }

 private:
  struct Rows {
    std::vector<float> confidences;
    std::vector<uint8_t> correct;
    double nll = 0, brier = 0;  // sums
  };
  static void AddRow(absl::Span<const float> probabilities, absl::Span<const float> logits, int32_t label,
                     Rows* rows);
  static absl::StatusOr<CalibrationMetrics> Measure(const Rows& rows);

  Rows served_, uncalibrated_;
};

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_EVALUATION_H_
