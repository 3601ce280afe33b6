#ifndef CALSERVE_SERVER_RPC_KSERVE_OUTPUTS_H_
#define CALSERVE_SERVER_RPC_KSERVE_OUTPUTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "inference/grpc_service.pb.h"
#include "server/prediction/predictor.h"
#include "server/prediction/tensor_names.h"

namespace calserve::kserve {

// What a model answers over KServe v2. Every output has a row for each row of the input.
enum class Output {
  kProbabilities,  // N×K, calibrated
  kLogits,         // N×K, as the model gives them; (0, z) for a binary model of one logit
  kTicket,         // N×1, sealed bytes
  kPredictionId,   // N×1
};

struct OutputTensor {
  Output output;
  std::string TensorNames::*name;
  const char* datatype;
  bool per_class;  // N×K, else N×1
};
// In the order in which they come where none is asked for by name.
inline constexpr OutputTensor kOutputs[] = {
    {Output::kProbabilities, &TensorNames::probabilities, "FP32", true},
    {Output::kLogits, &TensorNames::logits, "FP32", true},
    {Output::kTicket, &TensorNames::ticket, "BYTES", false},
    {Output::kPredictionId, &TensorNames::prediction_id, "BYTES", false},
};

inline const std::string& NameOf(const OutputTensor& tensor, const ServedModel& model) {
  return model.tensor_names.*tensor.name;
}

struct RequestedOutput {
  OutputTensor tensor;
  // Of probabilities; > 0: N×k, BYTES, the most probable classes first, each as "probability:index:label".
  int top_k = 0;
};

// The outputs that a request asks for, each once, in its order. `top_k` (0: every class) is for probabilities
// without a `classification` parameter of their own; more than K is K. INVALID_ARGUMENT for an output that
// there is not and for `classification` on another one than probabilities: it is given on calibrated values.
absl::StatusOr<std::vector<RequestedOutput>> ReadOutputs(const inference::ModelInferRequest& request,
                                                         const ServedModel& model, int64_t top_k);

// Makes the predictor return what the outputs need.
void Ask(absl::Span<const RequestedOutput> outputs, PredictionRequest& request);

// Writes an answer, but for its id. Every output has its raw_output_contents entry: clients rely on it.
void WriteResponse(const PredictionResponse& from, absl::Span<const RequestedOutput> outputs,
                   inference::ModelInferResponse& to);

}  // namespace calserve::kserve

#endif  // CALSERVE_SERVER_RPC_KSERVE_OUTPUTS_H_
