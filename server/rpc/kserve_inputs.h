#ifndef CALSERVE_SERVER_RPC_KSERVE_INPUTS_H_
#define CALSERVE_SERVER_RPC_KSERVE_INPUTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "inference/grpc_service.pb.h"
#include "server/base/byte_pieces.h"
#include "server/prediction/predictor.h"

namespace calserve::kserve {

// The one input tensor that a model has over KServe v2, TensorNames::input. What it holds follows from its
// data type:
//   FP32   N × the model's own input, already preprocessed
//   UINT8  N×H×W×C pixels, C = 1 (grey) or 3 (R, G, B), of any size: as if image files had been decoded
//   BYTES  N or N×1 whole JPEG, PNG or WebP files
// The last two for models with image input.

// "FP32", or "FP32,UINT8,BYTES".
std::string InputDataTypes(const ServedModel& model);

// The rows of a request.
struct InputRows {
  std::vector<PredictionInput> rows;  // views into the request, `in_place` or `converted`
  std::vector<char> converted;        // pixels that came as numbers of 4 bytes
};

// Cuts the request's input tensor along dimension 0; its floats are `in_place` if that is not empty.
// INVALID_ARGUMENT names the input, the model, what was expected and what came; UNIMPLEMENTED for shared
// memory. Whether floats are finite and images decode is the predictor's to say.
absl::StatusOr<InputRows> ReadInput(const inference::ModelInferRequest& request, BytePiecesView in_place,
                                    const ServedModel& model);

}  // namespace calserve::kserve

#endif  // CALSERVE_SERVER_RPC_KSERVE_INPUTS_H_
