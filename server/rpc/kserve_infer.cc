#include "server/rpc/kserve_infer.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/prediction/attribute_check.h"
#include "server/rpc/kserve_inputs.h"
#include "server/rpc/kserve_models.h"
#include "server/rpc/kserve_outputs.h"
#include "server/rpc/kserve_parameters.h"

namespace calserve::kserve {
namespace {

// A request as values. Its views point into the message, into its tensors in place and into `converted`.
struct Call {
  PredictionRequest request;
  std::vector<char> converted;
  std::vector<RequestedOutput> outputs;
};

absl::StatusOr<Call> FromProto(const inference::ModelInferRequest& request, const TensorsInPlace& tensors,
                               const RequestParameters& parameters, const ServedModel& model) {
  Call call;
  // Each row has them, so they are checked before they are copied.
  if (absl::Status status = CheckAttributes(parameters.attributes, model); !status.ok()) {
    return WithField(std::move(status), "parameters");
  }
  ASSIGN_OR_RETURN(call.outputs, ReadOutputs(request, model, parameters.top_k));
  ASSIGN_OR_RETURN(InputRows input, ReadInput(request, tensors.At(0), model));
  call.converted = std::move(input.converted);
  call.request.inputs = std::move(input.rows);
  for (PredictionInput& row : call.request.inputs) row.attributes = parameters.attributes;
  call.request.priority = parameters.priority;
  Ask(call.outputs, call.request);
  return call;
}

// The names of calserve.v1 for the fields that choose a model, as ModelInfer calls them.
absl::Status OfChoice(absl::Status status) {
  const std::string field = ErrorField(status);
  if (field == "model") return WithField(std::move(status), "model_name");
  if (field == "version_label" || field == "routing_key") {
    return WithField(std::move(status), absl::StrCat("parameters.", field));
  }
  return status;
}

// Some clients put seconds there.
absl::Status OfTimeout(absl::Status status, absl::Duration timeout) {
  if (!absl::IsDeadlineExceeded(status) && ErrorReason(status) != "DEADLINE_UNREACHABLE") return status;
  return WithField(
      WithMessage(status, absl::StrCat(status.message(), "; the request's parameter 'timeout' is ",
                                       absl::ToInt64Microseconds(timeout), " microseconds")),
      "parameters.timeout");
}

// The predictor calls row 3 "inputs[3]"; over KServe v2 that would be another tensor.
absl::Status OfRow(const absl::Status& status, const inference::ModelInferRequest& request) {
  if (const std::string field = ErrorField(status); absl::StartsWith(field, "options.")) {
    return WithField(status, absl::StrCat("parameters.", field.substr(sizeof("options.") - 1)));
  }
  absl::string_view rest = status.message();
  if (!absl::ConsumePrefix(&rest, "inputs[")) return status;
  const size_t end = rest.find("]: ");
  if (end == absl::string_view::npos) return status;
  return WithField(WithMessage(status, absl::StrCat("input '", request.inputs(0).name(), "', row ",
                                                    rest.substr(0, end), ": ", rest.substr(end + 3))),
                   "inputs[0]");
}

}  // namespace

absl::StatusOr<Predictor::Choice> Inference::Choose(const inference::ModelInferRequest& request,
                                                    const RequestParameters& parameters) const {
  ASSIGN_OR_RETURN(VersionChoice choice, ReadVersion(request.model_version()));
  choice.label = parameters.version_label;
  choice.routing_key = parameters.routing_key;
  return predictor_.Choose(request.model_name(), choice);
}

void Inference::Infer(Rpc rpc, const inference::ModelInferRequest& request, const TensorsInPlace& tensors,
                      absl::Time received, absl::Time deadline, std::shared_ptr<const CancelFlag> cancel,
                      inference::ModelInferResponse* response, Done done) {
  const auto unserved = [&](const absl::Status& status) {
    CountUnserved(rpc, status.code());
    std::move(done)(status);
  };
  const absl::StatusOr<RequestParameters> parameters = ReadParameters(request);
  if (!parameters.ok()) return unserved(parameters.status());
  absl::StatusOr<Predictor::Choice> choice = Choose(request, *parameters);
  if (!choice.ok()) return unserved(OfChoice(choice.status()));
  const ServedModel& model = *choice->snapshot.model;
  absl::StatusOr<Call> call = FromProto(request, tensors, *parameters, model);
  if (!call.ok()) {
    model.counters->CountFailed(rpc, call.status().code(), absl::Now() - received);
    return std::move(done)(call.status());
  }
  call->request.rpc = rpc;
  call->request.received = received;
  call->request.deadline = std::min(deadline, received + parameters->timeout);
  const std::optional<absl::Duration> timeout =
      received + parameters->timeout < deadline ? std::make_optional(parameters->timeout) : std::nullopt;
  call->request.cancel = std::move(cancel);
  response->set_id(request.id());
  predictor_.Predict(
      std::move(call->request), *std::move(choice),
      [converted = std::move(call->converted), outputs = std::move(call->outputs), timeout, &request,
       response, done = std::move(done)](absl::StatusOr<PredictionResponse> prediction) mutable {
        if (!prediction.ok()) {
          absl::Status status = OfRow(prediction.status(), request);
          if (timeout.has_value()) status = OfTimeout(std::move(status), *timeout);
          return std::move(done)(std::move(status));
        }
        WriteResponse(*prediction, outputs, *response);
        std::move(done)(absl::OkStatus());
      });
}

}  // namespace calserve::kserve
