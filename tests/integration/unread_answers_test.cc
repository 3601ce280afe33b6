// What a client that does not read leaves in the server's memory.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "calserve/v1/prediction.grpc.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/base/unsent_bytes.h"
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

class UnreadAnswersTest : public ::testing::Test {
 protected:
  void Start(int64_t max_unsent_bytes) {
    InProcessOptions options;
    options.data_dir = data_dir_ / "data";
    options.classes = kClasses;
    options.max_unsent_bytes = max_unsent_bytes;
    server_ = std::make_unique<InProcessServer>(options, clock_);
    stub_ = v1::PredictionService::NewStub(
        grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials()));
  }
  int rows_run() const { return static_cast<int>(server_->model().rows_run().size()); }

  e2e::TempDir data_dir_;
  ManualClock clock_{absl::Now()};
  std::unique_ptr<InProcessServer> server_;
  std::unique_ptr<v1::PredictionService::Stub> stub_;
};

TEST_F(UnreadAnswersTest, AStreamWhoseAnswersAreNotReadIsNotReadFrom) {
  constexpr int kRequests = 150;
  constexpr int64_t kMost = 16 << 20;  // of StreamPipe
  Start(512 << 20);
  grpc::ClientContext context;
  const auto stream = stub_->StreamPredict(&context);
  std::jthread writer([&] {
    for (int i = 0; i < kRequests; ++i) EXPECT_TRUE(stream->Write(Request(i)));
    stream->WritesDone();
  });
  // The rest waits with the client. It runs until nothing moves for a while.
  int before = -1;
  ASSERT_TRUE(Await([&] {
    const bool still = rows_run() == before && before > 0;
    before = rows_run();
    if (!still) absl::SleepFor(absl::Milliseconds(300));
    return still;
  }));
  EXPECT_LT(rows_run(), kRequests);
  EXPECT_GT(UnsentBytes(), kAnswerBytes);
  EXPECT_LE(UnsentBytes(), kMost + kAnswerBytes + kAnswerBytes / 10);

  std::vector<bool> answered(kRequests);
  v1::StreamPredictResponse response;
  while (stream->Read(&response)) {
    EXPECT_EQ(response.response().predictions_size(), 1) << response.failure().message();
    answered[response.sequence()] = true;
  }
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(answered, std::vector<bool>(kRequests, true));
  EXPECT_TRUE(Await([] { return UnsentBytes() == 0; })) << UnsentBytes();
}

TEST_F(UnreadAnswersTest, BeyondTheLimitLargeAnswersAreRefusedUntilOthersAreRead) {
  constexpr int64_t kLimit = 5 * kAnswerBytes;
  Start(kLimit);
  const auto predict = [&](v1::PredictResponse* response) {
    grpc::ClientContext context;
    return stub_->Predict(&context, Request(0).request(), response);
  };
  grpc::ClientContext context;
  const auto unread = stub_->StreamPredict(&context);
  v1::PredictResponse response;
  grpc::Status refused;
  for (int i = 0; i < 100 && refused.ok(); ++i) {
    const int run = rows_run();
    ASSERT_TRUE(unread->Write(Request(i)));
    ASSERT_TRUE(Await([&] { return rows_run() > run; }));
    refused = predict(&response);
  }
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error_message(), HasSubstr("answers that clients have not read take"));
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(refused.error_details()));
  google::rpc::ErrorInfo info;
  google::rpc::RetryInfo retry;
  for (const auto& detail : details.details()) {
    detail.UnpackTo(&info);
    detail.UnpackTo(&retry);
  }
  EXPECT_EQ(info.reason(), "ANSWERS_UNSENT");
  EXPECT_EQ(retry.retry_delay().seconds(), 1);
  EXPECT_LE(UnsentBytes(), kLimit);

  context.TryCancel();
  EXPECT_TRUE(Await([&] { return predict(&response).ok(); }));
  EXPECT_EQ(response.predictions_size(), 1);
  EXPECT_TRUE(Await([] { return UnsentBytes() == 0; })) << UnsentBytes();
}

TEST_F(UnreadAnswersTest, SmallAnswersAreNotCounted) {
  Start(1);
  grpc::ClientContext context;
  v1::PredictRequest request = Request(0).request();
  request.clear_options();
  v1::PredictResponse response;
  EXPECT_TRUE(stub_->Predict(&context, request, &response).ok());
  EXPECT_EQ(UnsentBytes(), 0);
}

}  // namespace
}  // namespace calserve::integration
