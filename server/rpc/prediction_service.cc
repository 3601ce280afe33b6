#include "server/rpc/prediction_service.h"

#include <memory>
#include <utility>

#include "absl/time/clock.h"
#include "calibration_io/calibration_proto.h"
#include "server/rpc/message_call.h"
#include "server/rpc/stream_pipe.h"

namespace calserve {
namespace {

// Requests of one stream between read and answered; enough to keep the largest batches full.
constexpr int kStreamWindow = 128;

void AddClasses(absl::Span<const Prediction::TopClass> classes, const ServedModel& model,
                google::protobuf::RepeatedPtrField<v1::ClassProbability>& to) {
  to.Reserve(static_cast<int>(classes.size()));
  for (const Prediction::TopClass& from : classes) {
    v1::ClassProbability& out = *to.Add();
    out.set_index(from.index);
    out.set_label(model.labels[from.index]);
    out.set_probability(from.probability);
  }
}

void ToProto(PredictionResponse&& from, v1::PredictResponse& to) {
  const ServedModel& model = *from.snapshot.model;
  to.set_model(model.name);
  to.set_model_version(model.version);
  to.set_calibrator_version(from.snapshot.calibrator->version);
  to.set_calibrator_method(MethodName(from.snapshot.calibrator->calibrator.spec().method));
  to.mutable_timing()->set_queue_micros(absl::ToInt64Microseconds(from.queued));
  to.mutable_timing()->set_decode_micros(absl::ToInt64Microseconds(from.decoding));
  to.mutable_timing()->set_model_micros(absl::ToInt64Microseconds(from.model));
  to.mutable_predictions()->Reserve(static_cast<int>(from.predictions.size()));
  for (Prediction& prediction : from.predictions) {
    v1::Prediction& out = *to.add_predictions();
    out.set_prediction_id(std::move(prediction.id));
    out.set_ticket(std::move(prediction.ticket));
    AddClasses(prediction.top_classes, model, *out.mutable_top_classes());
    out.set_confidence(prediction.confidence);
    out.set_uncalibrated_confidence(prediction.uncalibrated_confidence);
    out.mutable_probabilities()->Add(prediction.probabilities.begin(), prediction.probabilities.end());
    out.mutable_logits()->Add(prediction.logits.begin(), prediction.logits.end());
    if (prediction.set.has_value()) {
      v1::PredictionSet& set = *out.mutable_prediction_set();
      set.set_method(SetMethodToProto(from.set_threshold->score));
      set.set_alpha(from.set_threshold->alpha);
      set.set_threshold(from.set_threshold->threshold);
      set.set_size(prediction.set->size);
      AddClasses(prediction.set->classes, model, *set.mutable_classes());
    }
  }
}

class PredictStream final : public StreamPipe<v1::StreamPredictRequest, v1::StreamPredictResponse> {
 public:
  PredictStream(Admission admission, Predictor& predictor, CallTracker& calls, absl::Time deadline)
      : StreamPipe(calls, std::move(admission), Order::kAsFinished, kStreamWindow, WhenFull::kRefuse),
        predictor_(predictor),
        deadline_(deadline) {
    Start();
  }

 private:
  void Handle(std::unique_ptr<v1::StreamPredictRequest> message, const TensorsInPlace& tensors,
              absl::Time received, Answer answer) override {
    PredictionRequest request = FromProto(message->request(), tensors);
    request.rpc = Rpc::kStreamPredict;
    request.received = received;
    request.deadline = deadline_;
    request.cancel = cancel();
    predictor_.Predict(std::move(request), [this, message = std::move(message), answer = std::move(answer)](
                                               absl::StatusOr<PredictionResponse> prediction) {
      v1::StreamPredictResponse response;
      response.set_sequence(message->sequence());
      if (prediction.ok()) {
        ToProto(*std::move(prediction), *response.mutable_response());
      } else {
        MessageFailed(prediction.status());
        *response.mutable_failure() = ToFailure(prediction.status());
      }
      answer(std::move(response));
    });
  }

  void Refuse(const v1::StreamPredictRequest& message, const absl::Status& why, Answer answer) override {
    v1::StreamPredictResponse response;
    response.set_sequence(message.sequence());
    *response.mutable_failure() = ToFailure(why);
    answer(std::move(response));
  }

  Predictor& predictor_;
  const absl::Time deadline_;
};

TensorInput::Type TypeFromProto(v1::DataType type) {
  switch (type) {
    case v1::DATA_TYPE_UNSPECIFIED:
    case v1::DATA_TYPE_FLOAT32:
      return TensorInput::Type::kFloat32;
    case v1::DATA_TYPE_UINT8:
      return TensorInput::Type::kUint8;
    default:
      return TensorInput::Type::kUnknown;
  }
}

}  // namespace

PredictionInput FromProto(const v1::Input& input, BytePiecesView in_place) {
  PredictionInput out;
  if (input.has_encoded_image()) {
    out.value = EncodedImage{input.encoded_image()};
  } else if (input.has_tensor()) {
    const v1::Tensor& tensor = input.tensor();
    TensorInput value;
    value.type = TypeFromProto(tensor.data_type());
    value.shape.assign(tensor.shape().begin(), tensor.shape().end());
    value.data = in_place.empty() ? BytePieces{tensor.data()} : BytePieces(in_place.begin(), in_place.end());
    out.value = std::move(value);
  }
  for (const v1::Attribute& attribute : input.attributes()) {
    out.attributes.emplace_back(attribute.key(), attribute.value());
  }
  return out;
}

PredictionRequest FromProto(const v1::PredictRequest& request, const TensorsInPlace& in_place) {
  PredictionRequest out;
  out.model = request.model();
  out.model_version = request.model_version();
  out.version_label = request.version_label();
  out.routing_key = request.routing_key();
  out.inputs.reserve(request.inputs_size());
  for (int i = 0; i < request.inputs_size(); ++i) {
    out.inputs.push_back(FromProto(request.inputs(i), in_place.At(i)));
  }
  out.top_k = request.options().top_k();
  out.return_logits = request.options().return_logits();
  out.return_probabilities = request.options().return_probabilities();
  out.priority = request.options().priority();
  if (request.options().has_prediction_set()) {
    const v1::PredictionSetRequest& set = request.options().prediction_set();
    SetChoice& choice = out.prediction_set.emplace();
    if (v1::SetMethod_IsValid(set.method()) && set.method() != v1::SET_METHOD_UNSPECIFIED) {
      choice.score = SetMethodFromProto(set.method());
    }
    choice.alpha = set.alpha();
  }
  return out;
}

grpc::ServerUnaryReactor* PredictionService::Predict(grpc::CallbackServerContext* context,
                                                     const grpc::ByteBuffer* request,
                                                     grpc::ByteBuffer* response) {
  using Call = MessageCall<v1::PredictRequest, v1::PredictResponse>;
  auto* call = new Call(calls_, gate_.Authorize(*context, method::kPredict), response);
  const absl::Time received = absl::Now();
  if (!call->Read(request)) return call;
  call->admission().About(call->request().model());
  PredictionRequest values = FromProto(call->request(), call->tensors());
  values.received = received;
  values.deadline = Deadline(*context);
  values.cancel = call->cancel();
  predictor_.Predict(std::move(values), [call](absl::StatusOr<PredictionResponse> prediction) {
    if (prediction.ok()) ToProto(*std::move(prediction), call->response());
    call->Reply(prediction.status(), WhenFull::kRefuse);
  });
  return call;
}

ByteStream* PredictionService::StreamPredict(grpc::CallbackServerContext* context) {
  return new PredictStream(gate_.Authorize(*context, method::kStreamPredict), predictor_, calls_,
                           Deadline(*context));
}

}  // namespace calserve
