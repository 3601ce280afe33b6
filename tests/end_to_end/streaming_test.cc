// Streams, health and reflection: every request of a stream is answered once, a slow reader holds nobody up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "tests/end_to_end/api.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/end_to_end/test_images.h"

namespace calserve::e2e {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

class StreamingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(server_.WaitUntilServing()) << server_.log();
    api_ = std::make_unique<Api>(server_.address());
  }

  TempDir data_dir_;
  ServerProcess server_{{.data_dir = data_dir_.path()}};
  std::unique_ptr<Api> api_;
};

TEST_F(StreamingTest, AThousandRequestsAreEachAnsweredOnceAndABadOneFailsAlone) {
  constexpr int kRequests = 1000;
  constexpr int kBad = 417;
  const auto stream = api_->StreamPredict();
  std::jthread writer([&] {
    for (int i = 0; i < kRequests; ++i) {
      v1::StreamPredictRequest request;
      request.set_sequence(i);
      *request.mutable_request() = ImageRequest({i == kBad ? "no image" : TestImages::Get().Png(i)});
      if (!stream->Write(request)) return;
    }
    stream->CloseWrites();
  });
  std::map<int64_t, int> answers;
  v1::StreamPredictResponse response;
  while (stream->Read(&response)) {
    ++answers[response.sequence()];
    if (response.sequence() == kBad) {
      ASSERT_TRUE(response.has_failure());
      EXPECT_EQ(response.failure().code(), static_cast<int>(absl::StatusCode::kInvalidArgument));
      EXPECT_THAT(response.failure().message(), HasSubstr("inputs[0]"));
      EXPECT_NE(response.failure().reason(), "");
      EXPECT_EQ(response.failure().retry_after_millis(), 0);
    } else {
      ASSERT_TRUE(response.has_response()) << response.ShortDebugString();
      EXPECT_EQ(response.response().predictions_size(), 1);
    }
  }
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(answers.size(), kRequests);
  for (const auto& [sequence, count] : answers) EXPECT_EQ(count, 1) << sequence;
}

TEST_F(StreamingTest, AStreamedAnswerIsThatOfItsOwnRequest) {
  const auto stream = api_->StreamPredict();
  std::map<int64_t, std::string> top;
  for (int i = 0; i < 100; ++i) {
    v1::StreamPredictRequest request;
    request.set_sequence(i);
    *request.mutable_request() = TestTensorRequest(i, 1);
    ASSERT_TRUE(stream->Write(request));
  }
  stream->CloseWrites();
  std::map<int64_t, float> confidence;
  v1::StreamPredictResponse response;
  while (stream->Read(&response)) {
    confidence[response.sequence()] = response.response().predictions(0).confidence();
  }
  ASSERT_TRUE(stream->Finish().ok());
  ASSERT_EQ(confidence.size(), 100);
  for (int i = 0; i < 100; ++i) {
    EXPECT_NEAR(confidence[i], api_->Predict(TestTensorRequest(i, 1))->predictions(0).confidence(), 1e-4);
  }
}

// A read may succeed after the call was cancelled and finished: its answer must not come back to a stream
// that is gone. Under AddressSanitizer the server says so at once.
TEST_F(StreamingTest, StreamsCancelledWhileARequestArrivesHarmNobody) {
  for (int i = 0; i < 300; ++i) {
    const auto stream = api_->StreamPredict();
    v1::StreamPredictRequest request;
    *request.mutable_request() = TestTensorRequest(i, 1);
    stream->Write(request);
    if (i % 2 == 0) stream->Write(request);
    stream->Cancel();
  }
  EXPECT_TRUE(api_->Predict(TestTensorRequest(0, 1)).ok());
}

TEST_F(StreamingTest, HealthSaysServingForTheServerAndForEachService) {
  for (const char* service : {"", "calserve.v1.PredictionService", "calserve.v1.FeedbackService",
                              "calserve.v1.CalibrationService", "calserve.v1.ModelService"}) {
    const auto reply = api_->CheckHealth(service);
    EXPECT_TRUE(reply.ok()) << reply.status;
    EXPECT_EQ(reply.response, Health::kServing) << service;
    Health health = Health::kUnknown;
    EXPECT_TRUE(api_->WatchHealth(service)->Read(&health));
    EXPECT_EQ(health, Health::kServing) << service;
  }
  EXPECT_EQ(api_->CheckHealth("no.such.Service").status.code, absl::StatusCode::kNotFound);
}

TEST_F(StreamingTest, ReflectionListsEveryService) {
  const auto reply = api_->ReflectServices();
  EXPECT_TRUE(reply.ok()) << reply.status;
  EXPECT_THAT(reply.response,
              AllOf(Contains("calserve.v1.PredictionService"), Contains("calserve.v1.FeedbackService"),
                    Contains("calserve.v1.CalibrationService"), Contains("calserve.v1.ModelService"),
                    Contains("grpc.health.v1.Health")));
}

TEST_F(StreamingTest, ModelsAreListedWithWhatAClientNeedsToKnow) {
  const auto reply = api_->ListModels();
  ASSERT_TRUE(reply.ok()) << reply.status;
  ASSERT_EQ(reply->models_size(), 1);
  const v1::Model& model = reply->models(0);
  EXPECT_EQ(model.name(), kModel);
  EXPECT_EQ(model.labels_size(), kClasses);
  EXPECT_THAT(model.input_shape(), testing::ElementsAre(1, kImageSide, kImageSide));
  EXPECT_EQ(model.max_batch_size(), 32);
  ASSERT_EQ(model.versions_size(), 1);
  EXPECT_EQ(model.versions(0).state(), v1::MODEL_STATE_READY);
  EXPECT_EQ(model.versions(0).active_calibrator().version(), 0);
  EXPECT_EQ(model.versions(0).active_calibrator().method(), "none");
}

// Every window several times over: large messages, so that what fits on the way are few of them.
v1::WatchCalibrationRequest LargeReportsEvery10Milliseconds() {
  v1::WatchCalibrationRequest request;
  request.set_model(kModel);
  for (int copy = 0; copy < 5; ++copy) {
    for (const char* window : {"last_1000", "last_10000", "last_1h", "last_24h", "decay_1h"}) {
      request.add_windows(window);
    }
  }
  request.mutable_min_interval()->set_nanos(10'000'000);
  return request;
}

TEST_F(StreamingTest, AWatcherThatDoesNotReadHoldsUpNobodyAndThenSeesTheNewest) {
  const Api slow_api(server_.address());
  const auto slow = slow_api.WatchCalibration(LargeReportsEvery10Milliseconds());
  const auto fast = api_->WatchCalibration(LargeReportsEvery10Milliseconds());
  const std::vector<Labelled> predictions = PredictTestImages(*api_, 0, 400);
  const auto n_of = [](const v1::WatchCalibrationResponse& response) {
    return response.reports(0).served().n();
  };

  // A label at a time, each seen by the fast watcher before the next: some hundred reports are made.
  v1::WatchCalibrationResponse response;
  int64_t last = 0;
  int reports = 0;
  for (size_t i = 0; i < predictions.size(); i += 4) {
    Label(*api_, absl::MakeConstSpan(predictions).subspan(i, 4));
    while (last < static_cast<int64_t>(i + 4)) {
      ASSERT_TRUE(fast->Read(&response));
      ASSERT_EQ(response.reports_size(), 25);
      EXPECT_GE(n_of(response), last) << "n never falls";
      last = n_of(response);
      ++reports;
    }
  }
  EXPECT_EQ(last, 400);

  // What the slow one reads now is what fitted on the way, then the newest: not every report.
  int slow_reports = 0;
  do {
    ASSERT_TRUE(slow->Read(&response));
    ++slow_reports;
  } while (n_of(response) < 400);
  EXPECT_GE(reports, 90);
  EXPECT_LT(slow_reports, reports / 2);
}

}  // namespace
}  // namespace calserve::e2e
