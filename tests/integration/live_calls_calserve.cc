#include <gtest/gtest.h>

#include "tests/integration/live_calls.h"

namespace calserve::integration {
namespace {

constexpr int kFitRows = 64;

grpc::Status Predict(Call& call) {
  v1::PredictRequest request;
  request.set_model(call.model());
  FillInput(request.add_inputs());
  return Unary(*call.stubs.prediction, &v1::PredictionService::Stub::Predict, call, request);
}

grpc::Status SubmitFeedback(Call& call) {
  v1::SubmitFeedbackRequest request;
  if (call.kind == Kind::kGood) {
    request.add_items()->set_ticket(call.ticket);
    request.mutable_items(0)->set_class_index(1);
  }
  return Unary(*call.stubs.feedback, &v1::FeedbackService::Stub::SubmitFeedback, call, request);
}

grpc::Status ListCalibrators(Call& call) {
  v1::ListCalibratorsRequest request;
  request.set_model(call.model());
  return Unary(*call.stubs.calibration, &v1::CalibrationService::Stub::ListCalibrators, call, request);
}

grpc::Status ActivateCalibrator(Call& call) {
  v1::ActivateCalibratorRequest request;
  request.set_model(call.model());
  request.set_version(0);
  request.set_expected_active_version(1);
  return Unary(*call.stubs.calibration, &v1::CalibrationService::Stub::ActivateCalibrator, call, request);
}

grpc::Status RollbackCalibrator(Call& call) {
  v1::RollbackCalibratorRequest request;
  request.set_model(call.model());
  request.set_expected_active_version(1);
  return Unary(*call.stubs.calibration, &v1::CalibrationService::Stub::RollbackCalibrator, call, request);
}

grpc::Status GetCalibrationReport(Call& call) {
  v1::GetCalibrationReportRequest request;
  request.set_model(call.model());
  request.mutable_stored();
  return Unary(*call.stubs.calibration, &v1::CalibrationService::Stub::GetCalibrationReport, call, request);
}

grpc::Status ListAlarms(Call& call) {
  v1::ListAlarmsRequest request;
  request.set_model(call.model());
  return Unary(*call.stubs.calibration, &v1::CalibrationService::Stub::ListAlarms, call, request);
}

grpc::Status ListSlices(Call& call) {
  v1::ListSlicesRequest request;
  request.set_model(call.model());
  return Unary(*call.stubs.calibration, &v1::CalibrationService::Stub::ListSlices, call, request);
}

// There is none.
grpc::Status AcknowledgeAlarm(Call& call) {
  v1::AcknowledgeAlarmRequest request;
  request.set_model(call.model());
  request.set_calibrator_version(1);
  return Unary(*call.stubs.calibration, &v1::CalibrationService::Stub::AcknowledgeAlarm, call, request);
}

grpc::Status ListModels(Call& call) {
  v1::ListModelsRequest request;
  request.set_page_size(call.kind == Kind::kGood ? 0 : -1);
  return Unary(*call.stubs.models, &v1::ModelService::Stub::ListModels, call, request);
}

grpc::Status GetModel(Call& call) {
  v1::GetModelRequest request;
  request.set_model(call.model());
  return Unary(*call.stubs.models, &v1::ModelService::Stub::GetModel, call, request);
}

// The server of this test refits nothing by itself.
grpc::Status GetRefitStatus(Call& call) {
  v1::GetRefitStatusRequest request;
  request.set_model(call.model());
  return Unary(*call.stubs.calibration, &v1::CalibrationService::Stub::GetRefitStatus, call, request);
}

grpc::Status GetLogLevel(Call& call) {
  return Unary(*call.stubs.server, &v1::ServerService::Stub::GetLogLevel, call, v1::GetLogLevelRequest());
}

grpc::Status SetLogLevel(Call& call) {
  v1::SetLogLevelRequest request;
  if (call.kind == Kind::kGood) request.set_level(v1::LOG_LEVEL_INFO);
  return Unary(*call.stubs.server, &v1::ServerService::Stub::SetLogLevel, call, request);
}

// A bad request fails alone: the stream goes on and ends well.
grpc::Status StreamPredict(Call& call) {
  const auto stream = call.stubs.prediction->StreamPredict(&call.context);
  v1::StreamPredictRequest request;
  request.mutable_request()->set_model(call.model());
  FillInput(request.mutable_request()->add_inputs());
  for (int i = 0; i < 3; ++i) stream->Write(request);
  stream->WritesDone();
  return ReadToTheEnd<v1::StreamPredictResponse>(*stream);
}

grpc::Status StreamFeedback(Call& call) {
  const auto stream = call.stubs.feedback->StreamFeedback(&call.context);
  v1::StreamFeedbackRequest request;
  if (call.kind == Kind::kGood) {
    request.add_items()->set_ticket(call.ticket);
    request.mutable_items(0)->set_class_index(1);
  }
  stream->Write(request);
  stream->WritesDone();
  return ReadToTheEnd<v1::StreamFeedbackResponse>(*stream);
}

grpc::Status FitCalibrator(Call& call) {
  const auto stream = call.stubs.calibration->FitCalibrator(&call.context);
  v1::FitCalibratorRequest specification, set;
  specification.mutable_specification()->set_model(call.model());
  specification.mutable_specification()->set_method(v1::CALIBRATION_METHOD_TEMPERATURE);
  specification.mutable_specification()->mutable_uploaded();
  for (int i = 0; i < kFitRows; ++i) {
    v1::LabelledExample& example = *set.mutable_examples()->add_examples();
    for (int k = 0; k < kClasses; ++k) example.mutable_logits()->add_values(k == i % kClasses ? 5 : 0);
    example.set_class_index(i % 5 == 0 ? (i + 1) % kClasses : i % kClasses);
  }
  FillInput(set.mutable_examples()->add_examples()->mutable_input());  // This one needs the model.
  stream->Write(specification);
  stream->Write(set);
  stream->WritesDone();
  return ReadToTheEnd<v1::FitCalibratorResponse>(*stream);
}

// Goes on until somebody ends it.
grpc::Status WatchCalibration(Call& call) {
  v1::WatchCalibrationRequest request;
  request.set_model(call.model());
  const auto stream = call.stubs.calibration->WatchCalibration(&call.context, request);
  return ReadToTheEnd<v1::WatchCalibrationResponse>(*stream);
}

}  // namespace

void FillInput(v1::Input* input) {
  const float values[kClasses] = {1, 2, 3, 4};
  input->mutable_tensor()->add_shape(kClasses);
  input->mutable_tensor()->set_data(values, sizeof(values));
}

grpc::Status WatchOneReport(Call& call) {
  v1::WatchCalibrationRequest request;
  request.set_model(call.model());
  const auto stream = call.stubs.calibration->WatchCalibration(&call.context, request);
  v1::WatchCalibrationResponse response;
  EXPECT_TRUE(stream->Read(&response));
  call.context.TryCancel();
  return ReadToTheEnd<v1::WatchCalibrationResponse>(*stream);
}

std::vector<Rpc> CalserveRpcs() {
  using enum grpc::StatusCode;
  return {
      {.name = "Predict", .run = Predict},
      {.name = "SubmitFeedback", .run = SubmitFeedback, .bad = INVALID_ARGUMENT},
      {.name = "ListCalibrators", .run = ListCalibrators},
      {.name = "ActivateCalibrator", .run = ActivateCalibrator},
      {.name = "RollbackCalibrator", .run = RollbackCalibrator},
      {.name = "GetCalibrationReport", .run = GetCalibrationReport},
      {.name = "ListAlarms", .run = ListAlarms, .can_be_held = false},
      {.name = "ListSlices", .run = ListSlices, .can_be_held = false},
      {.name = "AcknowledgeAlarm",
       .run = AcknowledgeAlarm,
       .can_be_held = false,
       .good = FAILED_PRECONDITION},
      {.name = "ListModels", .run = ListModels, .can_be_held = false, .bad = INVALID_ARGUMENT},
      {.name = "GetModel", .run = GetModel, .can_be_held = false},
      {.name = "GetRefitStatus",
       .run = GetRefitStatus,
       .can_be_held = false,
       .good = UNIMPLEMENTED,
       .bad = UNIMPLEMENTED},
      {.name = "GetLogLevel", .run = GetLogLevel, .can_be_held = false, .bad = OK},
      {.name = "SetLogLevel", .run = SetLogLevel, .can_be_held = false, .bad = INVALID_ARGUMENT},
      {.name = "StreamPredict", .run = StreamPredict, .bad = OK, .drained = UNAVAILABLE},
      {.name = "StreamFeedback", .run = StreamFeedback, .bad = INVALID_ARGUMENT, .drained = UNAVAILABLE},
      {.name = "FitCalibrator", .run = FitCalibrator, .drained = UNAVAILABLE},  // not yet fitting
      {.name = "WatchCalibration", .run = WatchCalibration, .good = CANCELLED, .drained = UNAVAILABLE},
  };
}

}  // namespace calserve::integration
