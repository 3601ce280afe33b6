#ifndef CALSERVE_SERVER_PREDICTION_SET_CHOICE_H_
#define CALSERVE_SERVER_PREDICTION_SET_CHOICE_H_

#include <optional>

#include "absl/status/statusor.h"
#include "calibration/set_threshold.h"
#include "server/prediction/serving_table.h"

namespace calserve {

// Which prediction set a request asks for.
struct SetChoice {
  std::optional<ConformalScore> score;  // nullopt: the caller named none, or none that there is
  double alpha = 0;
};

// The threshold of it that the calibrator has; alphas are the same within 1e-9. INVALID_ARGUMENT where the
// method is not named or alpha is not in (0, 1); FAILED_PRECONDITION where the calibrator has none of these,
// saying which it has and what to do. Both name the field.
absl::StatusOr<SetThreshold> FindThreshold(const SetChoice& choice, const ServedModel& model,
                                           const ServedCalibrator& calibrator);

}  // namespace calserve

#endif  // CALSERVE_SERVER_PREDICTION_SET_CHOICE_H_
