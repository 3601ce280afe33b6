#include "server/rpc/kserve_outputs.h"

#include <algorithm>
#include <bit>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "server/base/byte_pieces.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/rpc/kserve_parameters.h"

namespace calserve::kserve {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors go out as they are in memory");

void AppendFloats(absl::Span<const float> values, std::string& raw) {
  absl::StrAppend(&raw, BytesOf(values));
}

// An element of BYTES: its length in 4 bytes, little-endian, then itself.
void AppendElement(absl::string_view element, std::string& raw) {
  const uint32_t length = static_cast<uint32_t>(element.size());
  raw.append(reinterpret_cast<const char*>(&length), sizeof(length));
  raw.append(element.data(), element.size());
}

absl::StatusOr<OutputTensor> FindOutput(const std::string& name, const ServedModel& model) {
  for (const OutputTensor& tensor : kOutputs) {
    if (name == NameOf(tensor, model)) return tensor;
  }
  const auto append_name = [&model](std::string* out, const OutputTensor& tensor) {
    out->append(NameOf(tensor, model));
  };
  return WithField(absl::InvalidArgumentError(absl::StrCat("unexpected inference output '", name,
                                                           "' for model '", model.name, "'; its outputs are ",
                                                           absl::StrJoin(kOutputs, ", ", append_name))),
                   "outputs");
}

// Rows of `tensor`, in the order of the predictions.
void AppendRow(const Prediction& prediction, const RequestedOutput& requested, const ServedModel& model,
               std::string& raw) {
  switch (requested.tensor.output) {
    case Output::kProbabilities:
      if (requested.top_k == 0) return AppendFloats(prediction.probabilities, raw);
      for (int i = 0; i < requested.top_k; ++i) {
        const Prediction::TopClass& top = prediction.top_classes[i];
        AppendElement(
            absl::StrCat(std::to_string(top.probability), ":", top.index, ":", model.labels[top.index]), raw);
      }
      return;
    case Output::kLogits:
      if (prediction.logits.size() == 1) AppendFloats({0.0f}, raw);  // A single logit z means (0, z).
      return AppendFloats(prediction.logits, raw);
    case Output::kTicket:
      // Text: gateways that make JSON of an answer fail for elements that are none.
      return AppendElement(absl::Base64Escape(prediction.ticket), raw);
    case Output::kPredictionId:
      return AppendElement(prediction.id, raw);
  }
}

void WriteParameters(const PredictionResponse& from, inference::ModelInferResponse& to) {
  auto& parameters = *to.mutable_parameters();
  const ServedCalibrator& calibrator = *from.snapshot.calibrator;
  parameters["calibrator_version"].set_int64_param(calibrator.version);
  parameters["calibrator_method"].set_string_param(MethodName(calibrator.calibrator.spec().method));
  parameters["queue_us"].set_int64_param(absl::ToInt64Microseconds(from.queued));
  parameters["preprocess_us"].set_int64_param(absl::ToInt64Microseconds(from.decoding));
  parameters["compute_us"].set_int64_param(absl::ToInt64Microseconds(from.model));
}

}  // namespace

absl::StatusOr<std::vector<RequestedOutput>> ReadOutputs(const inference::ModelInferRequest& request,
                                                         const ServedModel& model, int64_t top_k) {
  std::vector<RequestedOutput> outputs;
  const auto add = [&](const OutputTensor& tensor, int64_t k) {
    const int64_t all = tensor.output == Output::kProbabilities ? k : 0;
    outputs.push_back({tensor, static_cast<int>(std::min<int64_t>(all, model.classes()))});
  };
  for (const auto& requested : request.outputs()) {
    ASSIGN_OR_RETURN(const OutputTensor tensor, FindOutput(requested.name(), model));
    RETURN_IF_ERROR(CheckNoSharedMemory(requested.name(), requested.parameters()));
    int64_t k = top_k;
    if (const auto count = requested.parameters().find("classification");
        count != requested.parameters().end()) {
      ASSIGN_OR_RETURN(k, WholeNumber("classification", count->second, 1));
      if (tensor.output != Output::kProbabilities) {
        return WithField(absl::InvalidArgumentError(absl::StrCat(
                             "classification is given on the calibrated values, of "
                             "output '",
                             model.tensor_names.probabilities, "'; was asked of '", requested.name(), "'")),
                         "outputs");
      }
    }
    const bool again = std::any_of(outputs.begin(), outputs.end(), [&](const RequestedOutput& before) {
      return before.tensor.output == tensor.output;
    });
    if (!again) add(tensor, k);
  }
  if (request.outputs().empty()) {
    for (const OutputTensor& tensor : kOutputs) add(tensor, top_k);
  }
  return outputs;
}

void Ask(absl::Span<const RequestedOutput> outputs, PredictionRequest& request) {
  request.top_k = 1;
  for (const RequestedOutput& requested : outputs) {
    if (requested.tensor.output == Output::kLogits) request.return_logits = true;
    if (requested.tensor.output != Output::kProbabilities) continue;
    if (requested.top_k > 0) {
      request.top_k = requested.top_k;
    } else {
      request.return_probabilities = true;
    }
  }
}

void WriteResponse(const PredictionResponse& from, absl::Span<const RequestedOutput> outputs,
                   inference::ModelInferResponse& to) {
  const ServedModel& model = *from.snapshot.model;
  to.set_model_name(model.name);
  to.set_model_version(std::to_string(model.version));
  WriteParameters(from, to);
  for (const RequestedOutput& requested : outputs) {
    inference::ModelInferResponse::InferOutputTensor& tensor = *to.add_outputs();
    tensor.set_name(NameOf(requested.tensor, model));
    tensor.set_datatype(requested.top_k > 0 ? "BYTES" : requested.tensor.datatype);
    tensor.add_shape(static_cast<int64_t>(from.predictions.size()));
    tensor.add_shape(requested.top_k > 0          ? requested.top_k
                     : requested.tensor.per_class ? model.classes()
                                                  : 1);
    std::string& raw = *to.add_raw_output_contents();
    if (requested.tensor.per_class && requested.top_k == 0) {
      raw.reserve(from.predictions.size() * model.labels.size() * sizeof(float));
    }
    for (const Prediction& prediction : from.predictions) AppendRow(prediction, requested, model, raw);
  }
}

}  // namespace calserve::kserve
