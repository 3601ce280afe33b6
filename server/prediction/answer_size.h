#ifndef CALSERVE_SERVER_PREDICTION_ANSWER_SIZE_H_
#define CALSERVE_SERVER_PREDICTION_ANSWER_SIZE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "server/prediction/predictor.h"

namespace calserve {

// A request of some kilobytes can ask for gigabytes: rows × classes × names of classes.
inline constexpr int64_t kMaxAnswerBytes = int64_t{64} << 20;

// INVALID_ARGUMENT with the reason ANSWER_TOO_LARGE where what `request` asks of `model`, whose inputs and
// top_k are as they must be, would take more than kMaxAnswerBytes, by a rough count.
absl::Status CheckAnswerSize(const PredictionRequest& request, const ServedModel& model);

}  // namespace calserve

#endif  // CALSERVE_SERVER_PREDICTION_ANSWER_SIZE_H_
