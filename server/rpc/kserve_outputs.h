#ifndef CALSERVE_SERVER_RPC_KSERVE_OUTPUTS_H_
#define CALSERVE_SERVER_RPC_KSERVE_OUTPUTS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "inference/grpc_service.pb.h"
#include "server/prediction/predictor.h"

namespace calserve::kserve {

// What a model answers over KServe v2. Every output has a row for each row of the input.
enum class Output {
  kProbabilities,  // FP32 N×K, calibrated
  kLogits,         // FP32 N×K, as the model gives them; (0, z) for a binary model of one logit
  kTicket,         // BYTES N×1
  kPredictionId,   // BYTES N×1
};

struct OutputTensor {
  Output output;
  const char* name;
  const char* datatype;
};
// In the order in which they come where none is asked for by name.
inline constexpr OutputTensor kOutputs[] = {
    {Output::kProbabilities, "probabilities", "FP32"},
    {Output::kLogits, "logits", "FP32"},
    {Output::kTicket, "ticket", "BYTES"},
    {Output::kPredictionId, "prediction_id", "BYTES"},
};

struct RequestedOutput {
  OutputTensor tensor;
  int top_k = 0;  // of probabilities: > 0 for the k most probable classes as text in place of all values
};

// The outputs that a request asks for, each once. INVALID_ARGUMENT for an output that there is not.
absl::StatusOr<std::vector<RequestedOutput>> ReadOutputs(const inference::ModelInferRequest& request,
                                                         const ServedModel& model);

// Makes the predictor return what the outputs need.
void Ask(absl::Span<const RequestedOutput> outputs, PredictionRequest& request);

// Writes an answer; every output has its raw_output_contents entry.
void WriteResponse(const PredictionResponse& from, absl::Span<const RequestedOutput> outputs,
                   inference::ModelInferResponse& to);

}  // namespace calserve::kserve

#endif  // CALSERVE_SERVER_RPC_KSERVE_OUTPUTS_H_
