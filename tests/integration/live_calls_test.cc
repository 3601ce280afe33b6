// However a call ends, nothing of it stays: for every rpc of calserve.v1, the objects of calls under way are
// counted while it is held and gone after success, error, cancellation, deadline and shutdown.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "calserve/v1/calibration.grpc.pb.h"
#include "calserve/v1/feedback.grpc.pb.h"
#include "calserve/v1/model.grpc.pb.h"
#include "calserve/v1/prediction.grpc.pb.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/integration/held_store.h"
#include "tests/integration/in_process_server.h"

namespace calserve::integration {
namespace {

constexpr int kClasses = 4;
constexpr int kFitRows = 64;

struct Stubs {
  explicit Stubs(const std::shared_ptr<grpc::Channel>& channel)
      : prediction(v1::PredictionService::NewStub(channel)),
        feedback(v1::FeedbackService::NewStub(channel)),
        calibration(v1::CalibrationService::NewStub(channel)),
        models(v1::ModelService::NewStub(channel)) {}
  std::unique_ptr<v1::PredictionService::Stub> prediction;
  std::unique_ptr<v1::FeedbackService::Stub> feedback;
  std::unique_ptr<v1::CalibrationService::Stub> calibration;
  std::unique_ptr<v1::ModelService::Stub> models;
};

// One whole call with a good request or one that is refused.
enum class Kind { kGood, kBad };
struct Call {
  Stubs& stubs;
  grpc::ClientContext& context;
  Kind kind;
  std::string ticket;  // a good one

  const char* model() const { return kind == Kind::kGood ? "puppet" : "muppet"; }
};

// How an rpc ends where it is not the same for all.
struct Rpc {
  std::string name;
  std::function<grpc::Status(Call&)> run;
  bool can_be_held = true;  // with the model and the store; else it is answered on the thread that reads it
  grpc::StatusCode good = grpc::StatusCode::OK;
  grpc::StatusCode bad = grpc::StatusCode::NOT_FOUND;
  grpc::StatusCode drained = grpc::StatusCode::OK;  // under way when the drain began
};

void FillInput(v1::Input* input) {
  const float values[kClasses] = {1, 2, 3, 4};
  input->mutable_tensor()->add_shape(kClasses);
  input->mutable_tensor()->set_data(values, sizeof(values));
}

template <typename Service, typename Request, typename Response>
grpc::Status Unary(Service& service,
                   grpc::Status (Service::*method)(grpc::ClientContext*, const Request&, Response*),
                   Call& call, const Request& request) {
  Response response;
  return (service.*method)(&call.context, request, &response);
}

template <typename Response, typename Stream>
grpc::Status ReadToTheEnd(Stream& stream) {
  Response response;
  while (stream.Read(&response)) {
  }
  return stream.Finish();
}

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

// The only success of a watch: it was read, and the client goes.
grpc::Status WatchOneReport(Call& call) {
  v1::WatchCalibrationRequest request;
  request.set_model(call.model());
  const auto stream = call.stubs.calibration->WatchCalibration(&call.context, request);
  v1::WatchCalibrationResponse response;
  EXPECT_TRUE(stream->Read(&response));
  call.context.TryCancel();
  return ReadToTheEnd<v1::WatchCalibrationResponse>(*stream);
}

class LiveCallsTest : public ::testing::TestWithParam<Rpc> {
 protected:
  void SetUp() override {
    options_.data_dir = data_dir_ / "data";
    options_.classes = kClasses;
    options_.around_store = [this](Store& store) {
      auto held = std::make_unique<HeldStore>(store);
      store_ = held.get();
      return held;
    };
    Start();
  }
  void TearDown() override {
    if (store_ != nullptr) store_->Release();
  }

  // With an active calibrator of version 1, and plain softmax before it.
  void Start() {
    server_ = std::make_unique<InProcessServer>(options_, clock_);
    stubs_ =
        std::make_unique<Stubs>(grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials()));
    LabelledLogits data;
    data.columns = kClasses;
    for (int i = 0; i < 100; ++i) {
      for (int k = 0; k < kClasses; ++k) data.logits.push_back(k == i % kClasses ? 5 : 0);
      data.labels.push_back(i % 3 == 0 ? (i + 1) % kClasses : i % kClasses);
    }
    std::atomic<bool> fitted{false};
    server_->registry().FitUploaded({"puppet", 1, kClasses}, CalibrationMethod::kTemperature, {.folds = 5},
                                    data, nullptr,
                                    [&](const absl::StatusOr<CalibratorVersion>& fit) { fitted = fit.ok(); });
    ASSERT_TRUE(Await([&] { return fitted.load(); }));
    ASSERT_TRUE(server_->registry().Activate("puppet", 1, 1, 0).ok());

    grpc::ClientContext context;
    v1::PredictRequest request;
    request.set_model("puppet");
    FillInput(request.add_inputs());
    v1::PredictResponse response;
    ASSERT_TRUE(stubs_->prediction->Predict(&context, request, &response).ok());
    ticket_ = response.predictions(0).ticket();
    ASSERT_TRUE(NothingIsLeft());
  }

  template <typename Condition>
  static bool Await(Condition condition) {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (absl::Now() < deadline) {
      if (condition()) return true;
      absl::SleepFor(absl::Milliseconds(1));
    }
    return false;
  }
  // The server lets go of a call a moment after the client has its status.
  bool NothingIsLeft() {
    return Await([&] { return server_->calls_under_way() == 0; });
  }
  void Hold() {
    server_->model().Hold();
    store_->Hold();
  }
  void Release() {
    server_->model().Release();
    store_->Release();
  }
  grpc::Status Run(grpc::ClientContext& context, Kind kind = Kind::kGood) {
    Call call{*stubs_, context, kind, ticket_};
    return GetParam().run(call);
  }
  grpc::Status Run(Kind kind = Kind::kGood) {
    grpc::ClientContext context;
    return Run(context, kind);
  }

  e2e::TempDir data_dir_;
  ManualClock clock_{absl::Now()};
  InProcessOptions options_;
  HeldStore* store_ = nullptr;  // of server_
  std::unique_ptr<InProcessServer> server_;
  std::unique_ptr<Stubs> stubs_;
  std::string ticket_;
};

TEST_P(LiveCallsTest, AfterSuccess) {
  const bool watch = GetParam().name == "WatchCalibration";
  grpc::ClientContext context;
  Call call{*stubs_, context, Kind::kGood, ticket_};
  const grpc::Status status = watch ? WatchOneReport(call) : GetParam().run(call);
  EXPECT_EQ(status.error_code(), GetParam().good) << status.error_message();
  EXPECT_TRUE(NothingIsLeft()) << server_->calls_under_way();
}

TEST_P(LiveCallsTest, AfterAnError) {
  const grpc::Status status = Run(Kind::kBad);
  EXPECT_EQ(status.error_code(), GetParam().bad) << status.error_message();
  EXPECT_TRUE(NothingIsLeft()) << server_->calls_under_way();
}

TEST_P(LiveCallsTest, AfterTheClientHasCancelled) {
  Hold();
  grpc::ClientContext context;
  grpc::Status status;
  std::jthread caller([&] { status = Run(context); });
  if (GetParam().can_be_held) {
    EXPECT_TRUE(Await([&] { return server_->calls_under_way() == 1; }));
  }
  context.TryCancel();
  caller.join();
  if (GetParam().can_be_held) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  }
  Release();
  EXPECT_TRUE(NothingIsLeft()) << server_->calls_under_way();
}

TEST_P(LiveCallsTest, AfterTheDeadline) {
  Hold();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(GetParam().can_be_held ? 500 : -1000));
  grpc::Status status;
  std::jthread caller([&] { status = Run(context); });
  if (GetParam().can_be_held) {
    EXPECT_TRUE(Await([&] { return server_->calls_under_way() == 1; }));
  }
  caller.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED) << status.error_message();
  Release();
  EXPECT_TRUE(NothingIsLeft()) << server_->calls_under_way();
}

TEST_P(LiveCallsTest, AfterADrain) {
  Hold();
  std::jthread caller;
  if (GetParam().can_be_held) {
    caller = std::jthread([&] {
      const grpc::Status status = Run();
      EXPECT_EQ(status.error_code(), GetParam().drained) << status.error_message();
    });
    EXPECT_TRUE(Await([&] { return server_->calls_under_way() == 1; }));
  }
  std::jthread drain([&] { EXPECT_EQ(server_->Drain(), 0) << "calls cancelled"; });
  EXPECT_TRUE(Await([&] {  // The drain has begun: new calls go elsewhere.
    grpc::ClientContext context;
    v1::GetModelResponse response;
    return stubs_->models->GetModel(&context, {}, &response).error_code() == grpc::StatusCode::UNAVAILABLE;
  }));
  const grpc::Status late = Run();
  if (GetParam().can_be_held && GetParam().drained == grpc::StatusCode::OK) {  // The drain waits for it.
    EXPECT_EQ(late.error_code(), grpc::StatusCode::UNAVAILABLE) << late.error_message();
  } else {  // gRPC itself may be shutting down by now.
    EXPECT_THAT(late.error_code(), testing::AnyOf(grpc::StatusCode::UNAVAILABLE, grpc::StatusCode::CANCELLED))
        << late.error_message();
  }
  Release();
  drain.join();
  EXPECT_EQ(server_->calls_under_way(), 0);
}

std::vector<Rpc> Rpcs() {
  using enum grpc::StatusCode;
  return {
      {.name = "Predict", .run = Predict},
      {.name = "SubmitFeedback", .run = SubmitFeedback, .bad = INVALID_ARGUMENT},
      {.name = "ListCalibrators", .run = ListCalibrators},
      {.name = "ActivateCalibrator", .run = ActivateCalibrator},
      {.name = "RollbackCalibrator", .run = RollbackCalibrator},
      {.name = "GetCalibrationReport", .run = GetCalibrationReport},
      {.name = "ListAlarms", .run = ListAlarms, .can_be_held = false},
      {.name = "AcknowledgeAlarm",
       .run = AcknowledgeAlarm,
       .can_be_held = false,
       .good = FAILED_PRECONDITION},
      {.name = "ListModels", .run = ListModels, .can_be_held = false, .bad = INVALID_ARGUMENT},
      {.name = "GetModel", .run = GetModel, .can_be_held = false},
      {.name = "StreamPredict", .run = StreamPredict, .bad = OK, .drained = UNAVAILABLE},
      {.name = "StreamFeedback", .run = StreamFeedback, .bad = INVALID_ARGUMENT, .drained = UNAVAILABLE},
      {.name = "FitCalibrator", .run = FitCalibrator, .drained = UNAVAILABLE},  // not yet fitting
      {.name = "WatchCalibration", .run = WatchCalibration, .good = CANCELLED, .drained = UNAVAILABLE},
  };
}

INSTANTIATE_TEST_SUITE_P(CalserveV1, LiveCallsTest, ::testing::ValuesIn(Rpcs()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace calserve::integration
