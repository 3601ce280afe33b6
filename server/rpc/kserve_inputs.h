#ifndef CALSERVE_SERVER_RPC_KSERVE_INPUTS_H_
#define CALSERVE_SERVER_RPC_KSERVE_INPUTS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "inference/grpc_service.pb.h"
#include "server/prediction/predictor.h"

namespace calserve::kserve {

// The one input tensor that a model has over KServe v2.
inline constexpr absl::string_view kInputName = "input";

// The rows of a request.
struct InputRows {
  std::vector<PredictionInput> rows;  // views into the request
};

// Cuts the request's input tensor along dimension 0. INVALID_ARGUMENT names the input, the model, what was
// expected and what came.
absl::StatusOr<InputRows> ReadInput(const inference::ModelInferRequest& request, const ServedModel& model);

}  // namespace calserve::kserve

#endif  // CALSERVE_SERVER_RPC_KSERVE_INPUTS_H_
