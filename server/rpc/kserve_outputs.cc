#include "server/rpc/kserve_outputs.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace calserve::kserve {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors go out as they are in memory");

void AppendFloats(absl::Span<const float> values, std::string& raw) {
  raw.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
}

// An element of BYTES: its length in 4 bytes, little-endian, then itself.
void AppendElement(absl::string_view element, std::string& raw) {
  const uint32_t length = static_cast<uint32_t>(element.size());
  raw.append(reinterpret_cast<const char*>(&length), sizeof(length));
  raw.append(element.data(), element.size());
}

}  // namespace

absl::StatusOr<std::vector<RequestedOutput>> ReadOutputs(const inference::ModelInferRequest&,
                                                         const ServedModel&) {
  std::vector<RequestedOutput> outputs;
  for (const OutputTensor& tensor : kOutputs) outputs.push_back({tensor});
  return outputs;
}

void Ask(absl::Span<const RequestedOutput> outputs, PredictionRequest& request) {
  request.top_k = 1;
  for (const RequestedOutput& requested : outputs) {
    if (requested.tensor.output == Output::kProbabilities) request.return_probabilities = true;
    if (requested.tensor.output == Output::kLogits) request.return_logits = true;
  }
}

void WriteResponse(const PredictionResponse& from, absl::Span<const RequestedOutput> outputs,
                   inference::ModelInferResponse& to) {
  const ServedModel& model = *from.snapshot.model;
  to.set_model_name(model.name);
  to.set_model_version(std::to_string(model.version));
  for (const RequestedOutput& requested : outputs) {
    inference::ModelInferResponse::InferOutputTensor& tensor = *to.add_outputs();
    tensor.set_name(requested.tensor.name);
    tensor.set_datatype(requested.tensor.datatype);
    tensor.add_shape(static_cast<int64_t>(from.predictions.size()));
    std::string& raw = *to.add_raw_output_contents();
    switch (requested.tensor.output) {
      case Output::kProbabilities:
        tensor.add_shape(model.classes());
        for (const Prediction& prediction : from.predictions) AppendFloats(prediction.probabilities, raw);
        break;
      case Output::kLogits:
        tensor.add_shape(model.classes());
        for (const Prediction& prediction : from.predictions) {
          if (prediction.logits.size() == 1) AppendFloats({0.0f}, raw);
          AppendFloats(prediction.logits, raw);
        }
        break;
      case Output::kTicket:
        tensor.add_shape(1);
        for (const Prediction& prediction : from.predictions) AppendElement(prediction.ticket, raw);
        break;
      case Output::kPredictionId:
        tensor.add_shape(1);
        for (const Prediction& prediction : from.predictions) AppendElement(prediction.id, raw);
        break;
    }
  }
}

}  // namespace calserve::kserve
