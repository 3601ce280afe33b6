// What clients leave in the server's memory that send much, or do not read.
#include <gmock/gmock.h>
#include <google/protobuf/unknown_field_set.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "calserve/v1/calibration.grpc.pb.h"
#include "calserve/v1/prediction.grpc.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "inference/grpc_service.grpc.pb.h"
#include "server/base/byte_budget.h"
#include "server/base/byte_pieces.h"
#include "server/rpc/tensors_in_place.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/integration/await.h"
#include "tests/integration/in_process_server.h"

namespace calserve::integration {
namespace {

using ::testing::HasSubstr;

constexpr int kClasses = 50'000;
constexpr int64_t kAnswerBytes = 2 * kClasses * sizeof(float);  // and some names

v1::StreamPredictRequest Request(int64_t sequence) {
  v1::StreamPredictRequest message;
  message.set_sequence(sequence);
  v1::PredictRequest& request = *message.mutable_request();
  request.set_model("puppet");
  request.mutable_options()->set_return_logits(true);
  request.mutable_options()->set_return_probabilities(true);
  v1::Tensor& tensor = *request.add_inputs()->mutable_tensor();
  tensor.add_shape(kClasses);
  tensor.set_data(std::string(kClasses * sizeof(float), '\0'));
  return message;
}

// The same over KServe v2, for an answer that is no smaller.
inference::ModelInferRequest InferRequest() {
  inference::ModelInferRequest request;
  request.set_model_name("puppet");
  auto& input = *request.add_inputs();
  input.set_name("input");
  input.set_datatype("FP32");
  for (const int dimension : {1, kClasses}) input.add_shape(dimension);
  request.add_raw_input_contents(std::string(kClasses * sizeof(float), '\0'));
  return request;
}

class MessageMemoryTest : public ::testing::Test {
 protected:
  void Start(int64_t max_unsent_bytes, int64_t max_received_bytes = 1 << 30) {
    InProcessOptions options;
    options.data_dir = data_dir_ / "data";
    options.classes = kClasses;
    options.max_received_bytes = max_received_bytes;
    options.max_unsent_bytes = max_unsent_bytes;
    server_ = std::make_unique<InProcessServer>(options, clock_);
    const auto channel = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
    stub_ = v1::PredictionService::NewStub(channel);
    calibration_ = v1::CalibrationService::NewStub(channel);
    kserve_ = inference::GRPCInferenceService::NewStub(channel);
  }
  static void ExpectRetryable(const grpc::Status& status, const std::string& reason) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    google::rpc::Status details;
    ASSERT_TRUE(details.ParseFromString(status.error_details()));
    google::rpc::ErrorInfo info;
    google::rpc::RetryInfo retry;
    for (const auto& detail : details.details()) {
      detail.UnpackTo(&info);
      detail.UnpackTo(&retry);
    }
    EXPECT_EQ(info.reason(), reason);
    EXPECT_EQ(retry.retry_delay().seconds(), 1);
  }
  int rows_run() const { return static_cast<int>(server_->model().rows_run().size()); }

  e2e::TempDir data_dir_;
  ManualClock clock_{absl::Now()};
  std::unique_ptr<InProcessServer> server_;
  std::unique_ptr<v1::PredictionService::Stub> stub_;
  std::unique_ptr<v1::CalibrationService::Stub> calibration_;
  std::unique_ptr<inference::GRPCInferenceService::Stub> kserve_;
};

// Values that say which row they are of, and where in it.
std::string Row(int row) {
  std::vector<float> values(kClasses);
  for (int i = 0; i < kClasses; ++i) values[i] = static_cast<float>(row) + static_cast<float>(i % 97) / 128;
  return std::string(BytesOf(values));
}
v1::PredictRequest RequestOfRows(const std::vector<int>& rows) {
  v1::PredictRequest request;
  request.set_model("puppet");
  request.mutable_options()->set_return_logits(true);
  for (const int row : rows) {
    v1::Tensor& tensor = *request.add_inputs()->mutable_tensor();
    tensor.add_shape(kClasses);
    tensor.set_data(Row(row));
  }
  return request;
}
void ExpectRows(const v1::PredictResponse& response, const std::vector<int>& rows) {
  ASSERT_EQ(response.predictions_size(), static_cast<int>(rows.size()));
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_TRUE(BytesOf(response.predictions(static_cast<int>(i)).logits()) == Row(rows[i])) << i;
  }
}

// Tensors that stay in gRPC's slices: each row's logits are its values, and nothing stays once it is
// answered.
TEST_F(MessageMemoryTest, LargeTensorsAreReadWhereGrpcHasThem) {
  Start(512 << 20);
  {
    grpc::ClientContext context;
    v1::PredictResponse response;
    server_->model().Hold();
    std::jthread release([&] {
      EXPECT_TRUE(server_->model().WaitUntilHolding());
      EXPECT_GT(BytesInPlace().taken(), 3 * static_cast<int64_t>(kClasses * sizeof(float)));
      server_->model().Release();
    });
    ASSERT_TRUE(stub_->Predict(&context, RequestOfRows({3, 1, 2}), &response).ok());
    ExpectRows(response, {3, 1, 2});
    EXPECT_EQ(BytesInPlace().taken(), 0);
  }
  {
    grpc::ClientContext context;
    inference::ModelInferRequest request = InferRequest();
    request.mutable_inputs(0)->set_shape(0, 2);
    request.set_raw_input_contents(0, Row(7) + Row(4));
    request.add_outputs()->set_name("logits");
    inference::ModelInferResponse response;
    const grpc::Status status = kserve_->ModelInfer(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_TRUE(response.raw_output_contents(0) == Row(7) + Row(4));
    EXPECT_EQ(BytesInPlace().taken(), 0);
  }
  grpc::ClientContext context;
  const auto stream = stub_->StreamPredict(&context);
  v1::StreamPredictRequest request;
  for (const int row : {5, 6}) {
    *request.mutable_request() = RequestOfRows({row, row + 10});
    ASSERT_TRUE(stream->Write(request));
    v1::StreamPredictResponse response;
    ASSERT_TRUE(stream->Read(&response));
    ExpectRows(response.response(), {row, row + 10});
    EXPECT_EQ(BytesInPlace().taken(), 0) << "while the stream is open";
  }
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(MessageMemoryTest, AStreamWhoseAnswersAreNotReadIsNotReadFrom) {
  constexpr int kRequests = 150;
  constexpr int64_t kMost = 16 << 20;  // of StreamPipe
  Start(512 << 20);
  grpc::ClientContext context;
  const auto stream = stub_->StreamPredict(&context);
  std::jthread writer([&] {
    for (int i = 0; i < kRequests; ++i) EXPECT_TRUE(stream->Write(Request(i)));
    stream->WritesDone();
  });
  // The rest waits with the client: nothing moves for a while.
  ASSERT_TRUE(Await([] { return UnsentBytes().taken() > kMost / 2; }));
  int before = -1;
  ASSERT_TRUE(Await([&] {
    const bool still = rows_run() == before;
    before = rows_run();
    if (!still) absl::SleepFor(absl::Milliseconds(300));
    return still;
  }));
  EXPECT_LT(rows_run(), kRequests);
  EXPECT_LE(UnsentBytes().taken(), kMost + kAnswerBytes + kAnswerBytes / 10);

  std::vector<bool> answered(kRequests);
  v1::StreamPredictResponse response;
  while (stream->Read(&response)) {
    EXPECT_EQ(response.response().predictions_size(), 1) << response.failure().message();
    answered[response.sequence()] = true;
  }
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(answered, std::vector<bool>(kRequests, true));
  EXPECT_TRUE(Await([] { return UnsentBytes().taken() == 0; })) << UnsentBytes().taken();
}

TEST_F(MessageMemoryTest, BeyondTheLimitLargeAnswersAreRefusedUntilOthersAreRead) {
  constexpr int64_t kLimit = 5 * kAnswerBytes;
  Start(kLimit);
  const auto predict = [&] {
    grpc::ClientContext context;
    v1::PredictResponse response;
    const grpc::Status status = stub_->Predict(&context, Request(0).request(), &response);
    EXPECT_EQ(response.predictions_size(), status.ok() ? 1 : 0);
    return status;
  };
  const auto infer = [&] {
    grpc::ClientContext context;
    inference::ModelInferResponse response;
    const grpc::Status status = kserve_->ModelInfer(&context, InferRequest(), &response);
    EXPECT_EQ(response.raw_output_contents_size() > 0, status.ok());
    return status;
  };
  grpc::ClientContext context;
  const auto unread = stub_->StreamPredict(&context);
  grpc::Status refused;
  for (int i = 0; i < 100 && refused.ok(); ++i) {
    const int run = rows_run();
    ASSERT_TRUE(unread->Write(Request(i)));
    ASSERT_TRUE(Await([&] { return rows_run() > run; }));
    refused = predict();
  }
  for (const grpc::Status& status : {refused, infer()}) {
    EXPECT_THAT(status.error_message(), HasSubstr("others that clients have not read take"));
    ExpectRetryable(status, "ANSWERS_UNSENT");
  }
  EXPECT_LE(UnsentBytes().taken(), kLimit);

  context.TryCancel();
  EXPECT_TRUE(Await([&] { return predict().ok() && infer().ok(); }));
  EXPECT_TRUE(Await([] { return UnsentBytes().taken() == 0; })) << UnsentBytes().taken();
}

TEST_F(MessageMemoryTest, SmallAnswersAreNotCounted) {
  Start(1);
  grpc::ClientContext context;
  v1::PredictRequest request = Request(0).request();
  request.clear_options();
  v1::PredictResponse response;
  EXPECT_TRUE(stub_->Predict(&context, request, &response).ok());
  EXPECT_EQ(UnsentBytes().taken(), 0);
}

// Also what no queue counts: here a field that the server does not know.
TEST_F(MessageMemoryTest, RequestsAreHeldToTheLimitWithAllThatIsInThem) {
  constexpr int64_t kRequestBytes = kClasses * sizeof(float);
  Start(512 << 20, 5 * kRequestBytes);
  server_->model().Hold();
  v1::PredictRequest large = Request(0).request();
  v1::PredictRequest padding;
  padding.GetReflection()->MutableUnknownFields(&padding)->AddLengthDelimited(
      1000, std::string(kRequestBytes, 'x'));
  large.MergeFrom(padding);
  std::vector<std::future<grpc::Status>> held;
  for (int i = 0; i < 2; ++i) {
    held.push_back(std::async(std::launch::async, [&] {
      grpc::ClientContext context;
      v1::PredictResponse response;
      const grpc::Status status = stub_->Predict(&context, large, &response);
      return status;
    }));
    ASSERT_TRUE(Await([&] { return ReceivedBytes().taken() > (2 * i + 1) * kRequestBytes; })) << i;
  }
  grpc::ClientContext context;
  v1::PredictResponse response;
  const grpc::Status refused = stub_->Predict(&context, large, &response);
  EXPECT_THAT(refused.error_message(), HasSubstr("others whose calls are not answered take"));
  ExpectRetryable(refused, "MESSAGES_HELD");
  server_->model().Release();
  for (std::future<grpc::Status>& call : held) EXPECT_TRUE(call.get().ok());
  EXPECT_TRUE(Await([] { return ReceivedBytes().taken() == 0; })) << ReceivedBytes().taken();
}

// One that does not read its answers keeps none of its requests either.
TEST_F(MessageMemoryTest, ARequestIsHeldUntilItIsAnsweredAndNotUntilItsAnswerIsRead) {
  Start(512 << 20);
  grpc::ClientContext context;
  const auto unread = stub_->StreamPredict(&context);
  for (int i = 0; i < 100 && UnsentBytes().taken() < 3 * kAnswerBytes; ++i) {
    ASSERT_TRUE(unread->Write(Request(i)));
    ASSERT_TRUE(Await([&] { return rows_run() > i; }));
  }
  EXPECT_TRUE(Await([] { return ReceivedBytes().taken() == 0; })) << ReceivedBytes().taken();
  EXPECT_GT(UnsentBytes().taken(), 0);
}

TEST_F(MessageMemoryTest, AWatchDoesNotKeepWhatItWasAskedWith) {
  Start(512 << 20);
  v1::WatchCalibrationRequest request;
  request.set_model("puppet");
  request.GetReflection()->MutableUnknownFields(&request)->AddLengthDelimited(1000,
                                                                              std::string(1 << 20, 'x'));
  grpc::ClientContext context;
  const auto watch = calibration_->WatchCalibration(&context, request);
  v1::WatchCalibrationResponse report;
  ASSERT_TRUE(watch->Read(&report));
  EXPECT_EQ(ReceivedBytes().taken(), 0);
}

}  // namespace
}  // namespace calserve::integration
