// Deadlines and cancellations as the server sees them, not as its client does: what cannot be done in time is
// refused at once, over every rpc that predicts, and what is no longer wanted when its turn comes is not
// begun.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "calserve/v1/calibration.grpc.pb.h"
#include "calserve/v1/model.grpc.pb.h"
#include "calserve/v1/prediction.grpc.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "inference/grpc_service.grpc.pb.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/integration/await.h"
#include "tests/integration/held_store.h"
#include "tests/integration/in_process_server.h"
#include "tests/integration/puppet_requests.h"

namespace calserve::integration {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kClasses = 4;
constexpr absl::Duration kBatchTakes = absl::Seconds(6);
constexpr absl::Duration kTooShort = absl::Seconds(2);

class UnwantedCallsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.data_dir = data_dir_ / "data";
    options_.classes = kClasses;
    options_.around_store = HeldStore::Around(store_);
    server_ = std::make_unique<InProcessServer>(options_, clock_);
    const auto channel = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
    prediction_ = v1::PredictionService::NewStub(channel);
    calibration_ = v1::CalibrationService::NewStub(channel);
    models_ = v1::ModelService::NewStub(channel);
    kserve_ = inference::GRPCInferenceService::NewStub(channel);
  }
  void TearDown() override {
    server_->model().Release();
    store_->Release();
  }

  static void SetDeadline(grpc::ClientContext& context, absl::Duration deadline) {
    context.set_deadline(absl::ToChronoTime(absl::Now() + deadline));
  }

  static v1::PredictRequest Request(float tag) {
    const float values[kClasses] = {tag};
    v1::PredictRequest request;
    request.set_model("puppet");
    v1::Tensor& tensor = *request.add_inputs()->mutable_tensor();
    tensor.add_shape(kClasses);
    tensor.set_data(values, sizeof(values));
    return request;
  }
  static inference::ModelInferRequest KserveRequest(float tag) {
    const float row[kClasses] = {tag};
    return PuppetInferRequest(row);
  }

  grpc::Status Predict(float tag, absl::Duration deadline) {
    grpc::ClientContext context;
    SetDeadline(context, deadline);
    v1::PredictResponse response;
    return prediction_->Predict(&context, Request(tag), &response);
  }
  grpc::Status Infer(float tag, absl::Duration deadline) {
    grpc::ClientContext context;
    SetDeadline(context, deadline);
    inference::ModelInferResponse response;
    return kserve_->ModelInfer(&context, KserveRequest(tag), &response);
  }
  // Puts a request into the model, which holds it.
  std::future<grpc::Status> OccupyTheModel() {
    server_->model().Hold();
    auto pending = std::async(std::launch::async, [this] { return Predict(-1, absl::Seconds(60)); });
    EXPECT_TRUE(server_->model().WaitUntilHolding());
    return pending;
  }
  // The server measures that a batch takes kBatchTakes, and is left with one that has just begun.
  std::future<grpc::Status> OccupyTheModelForLong() {
    auto measured = OccupyTheModel();
    absl::SleepFor(kBatchTakes);
    server_->model().Release();
    EXPECT_TRUE(measured.get().ok());
    return OccupyTheModel();
  }

  int64_t ActiveCalibrator() {
    grpc::ClientContext context;
    v1::GetModelRequest request;
    request.set_model("puppet");
    v1::GetModelResponse response;
    const grpc::Status status = models_->GetModel(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.model().versions(0).active_calibrator().version();
  }
  grpc::Status ActivateSoftmax(grpc::ClientContext& context) {
    v1::ActivateCalibratorRequest request;
    request.set_model("puppet");
    request.set_expected_active_version(1);
    v1::ActivateCalibratorResponse response;
    return calibration_->ActivateCalibrator(&context, request, &response);
  }

  e2e::TempDir data_dir_;
  ManualClock clock_{absl::Now()};
  InProcessOptions options_;
  HeldStore* store_ = nullptr;  // of server_
  std::unique_ptr<InProcessServer> server_;
  std::unique_ptr<v1::PredictionService::Stub> prediction_;
  std::unique_ptr<v1::CalibrationService::Stub> calibration_;
  std::unique_ptr<v1::ModelService::Stub> models_;
  std::unique_ptr<inference::GRPCInferenceService::Stub> kserve_;
};

// The details of a status: the reason of its ErrorInfo, and whether it says when to retry.
struct Details {
  explicit Details(const grpc::Status& status) {
    google::rpc::Status all;
    if (!all.ParseFromString(status.error_details())) return;
    google::rpc::ErrorInfo info;
    google::rpc::RetryInfo retry;
    for (const auto& detail : all.details()) {
      if (detail.UnpackTo(&info)) reason = info.reason();
      if (detail.UnpackTo(&retry))
        retry_after =
            absl::Seconds(retry.retry_delay().seconds()) + absl::Nanoseconds(retry.retry_delay().nanos());
    }
  }
  std::string reason;
  absl::Duration retry_after;
};

constexpr char kDeadlineSentence[] = "the deadline is in ";

// The deadline of the rpc, unary or a stream's, is what the queue goes by: else these would wait until they
// expire.
TEST_F(UnwantedCallsTest, WhatCannotBeDoneBeforeTheDeadlineOfItsCallIsRefusedAtOnce) {
  auto occupying = OccupyTheModelForLong();

  for (const grpc::Status& status : {Predict(1, kTooShort), Infer(2, kTooShort)}) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr(kDeadlineSentence));
    EXPECT_EQ(Details(status).reason, "DEADLINE_UNREACHABLE");
    EXPECT_GT(Details(status).retry_after, kTooShort) << "when what runs is done";
  }
  {
    grpc::ClientContext context;
    SetDeadline(context, kTooShort);
    const auto stream = prediction_->StreamPredict(&context);
    v1::StreamPredictRequest request;
    *request.mutable_request() = Request(3);
    ASSERT_TRUE(stream->Write(request));
    v1::StreamPredictResponse response;
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.failure().code(), static_cast<int>(absl::StatusCode::kResourceExhausted));
    EXPECT_EQ(response.failure().reason(), "DEADLINE_UNREACHABLE");
    EXPECT_GT(response.failure().retry_after_millis(), absl::ToInt64Milliseconds(kTooShort));
    stream->WritesDone();
    EXPECT_TRUE(stream->Finish().ok());
  }
  {
    grpc::ClientContext context;
    SetDeadline(context, kTooShort);
    const auto stream = kserve_->ModelStreamInfer(&context);
    ASSERT_TRUE(stream->Write(KserveRequest(4)));
    inference::ModelStreamInferResponse response;
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_THAT(response.error_message(),
                AllOf(HasSubstr("RESOURCE_EXHAUSTED"), HasSubstr(kDeadlineSentence)));
    stream->WritesDone();
    EXPECT_TRUE(stream->Finish().ok());
  }
  const Batcher::Counters counters = server_->batcher_counters();
  EXPECT_EQ(counters.refused, 4);
  EXPECT_EQ(counters.expired + counters.cancelled + counters.queued_rows, 0);

  auto in_time = std::async(std::launch::async, [this] { return Infer(5, absl::Seconds(60)); });
  EXPECT_TRUE(Await([&] { return server_->batcher_counters().queued_rows == 1; }));
  server_->model().Release();
  EXPECT_TRUE(occupying.get().ok() && in_time.get().ok());
  EXPECT_THAT(server_->model().rows_run(), ElementsAre(-1, -1, 5));
}

TEST_F(UnwantedCallsTest, AnActivationThatNobodyWaitsForAnyMoreIsNotBegun) {
  ASSERT_TRUE(server_->ActivateTemperature().ok());
  for (const bool by_deadline : {false, true}) {
    SCOPED_TRACE(by_deadline ? "its deadline has passed" : "it was cancelled");
    store_->Hold();
    std::jthread listing([this] {  // What it waits for.
      grpc::ClientContext context;
      v1::ListCalibratorsRequest request;
      request.set_model("puppet");
      v1::ListCalibratorsResponse response;
      EXPECT_TRUE(calibration_->ListCalibrators(&context, request, &response).ok());
    });
    EXPECT_TRUE(Await([&] { return store_->waiting() == 1; }));
    grpc::ClientContext context;
    if (by_deadline) SetDeadline(context, kTooShort);
    auto activation = std::async(std::launch::async, [&] { return ActivateSoftmax(context); });
    EXPECT_TRUE(Await([&] { return server_->calls_under_way() == 2; }));
    if (!by_deadline) context.TryCancel();
    EXPECT_EQ(activation.get().error_code(),
              by_deadline ? grpc::StatusCode::DEADLINE_EXCEEDED : grpc::StatusCode::CANCELLED);
    ActiveCalibrator();  // On the same connection: the server has read the end of the one before.
    absl::SleepFor(absl::Milliseconds(200));  // It is told to the call by a thread of gRPC, unseen.
    store_->Release();
    listing.join();
    EXPECT_TRUE(Await([&] { return server_->calls_under_way() == 0; }));
    EXPECT_EQ(ActiveCalibrator(), 1);
  }
  grpc::ClientContext context;
  EXPECT_TRUE(ActivateSoftmax(context).ok());
  EXPECT_EQ(ActiveCalibrator(), 0) << "one that is waited for is begun";
}

}  // namespace
}  // namespace calserve::integration
