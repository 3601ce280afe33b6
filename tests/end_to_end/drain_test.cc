// SIGTERM under load: health says NOT_SERVING first, what is under way finishes, then the server exits 0.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <thread>

#include "absl/time/clock.h"
#include "tests/end_to_end/api.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/store_file.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/end_to_end/test_images.h"

namespace calserve::e2e {
namespace {

class DrainTest : public ::testing::Test {
 protected:
  void StartServer(const std::vector<std::string>& flags) {
    server_ = std::make_unique<ServerProcess>(ServerFlags{.data_dir = data_dir_.path(), .more = flags});
    ASSERT_TRUE(server_->WaitUntilServing()) << server_->log();
    api_ = std::make_unique<Api>(server_->address());
  }

  TempDir data_dir_;
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<Api> api_;
};

// A client that does as it should: calls until the health watch tells it to go elsewhere. None of its calls
// fails.
TEST_F(DrainTest, NoCallFailsForClientsThatLeaveWhenHealthSaysNotServing) {
  StartServer({"--grpc-lame-duck", "500ms", "--grpc-drain-timeout", "30s"});
  const Api watching(server_->address());
  const auto watch = watching.WatchHealth("");
  Health health = Health::kUnknown;
  ASSERT_TRUE(watch->Read(&health));
  ASSERT_EQ(health, Health::kServing);

  std::atomic<bool> leave{false};
  std::atomic<int64_t> answered{0}, failed{0};
  std::vector<std::jthread> callers;
  for (int caller = 0; caller < 8; ++caller) {
    callers.emplace_back([&, caller] {
      for (int i = caller; !leave; ++i) {
        const auto reply = api_->Predict(TestTensorRequest(i, 1 + i % 32));
        ++(reply.ok() ? answered : failed);
        if (!reply.ok()) ADD_FAILURE() << reply.status;
      }
    });
  }
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (answered < 50 && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(1));
  server_->Signal(SIGTERM);
  ASSERT_TRUE(watch->Read(&health)) << server_->log();
  EXPECT_EQ(health, Health::kNotServing);
  leave = true;
  callers.clear();
  EXPECT_GE(answered, 50);
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(server_->WaitForExit(absl::Seconds(10)), 0) << server_->log();
}

// Whoever asks now and then hears it as early as whoever watches, and is served until the lame duck ends.
TEST_F(DrainTest, CheckSaysNotServingWhilePredictServesOn) {
  const absl::Duration lame_duck = absl::Seconds(1);
  StartServer({"--lame-duck", "1s", "--drain-timeout", "30s"});
  const char* const kServices[] = {"", "calserve.v1.PredictionService", "inference.GRPCInferenceService"};
  std::vector<std::unique_ptr<HealthWatch>> watches;
  for (const char* service : kServices) {
    EXPECT_EQ(api_->CheckHealth(service).response, Health::kServing) << service;
    Health health = Health::kUnknown;
    EXPECT_TRUE(watches.emplace_back(api_->WatchHealth(service))->Read(&health));
    EXPECT_EQ(health, Health::kServing) << service;
  }
  server_->Signal(SIGTERM);
  const absl::Time signalled = absl::Now();
  ASSERT_TRUE(server_->WaitForLine("stopping signal=", absl::Seconds(20)).has_value()) << server_->log();
  for (size_t i = 0; i < watches.size(); ++i) {
    Health health = Health::kServing;
    EXPECT_TRUE(watches[i]->Read(&health));
    EXPECT_EQ(health, Health::kNotServing) << kServices[i];
    EXPECT_EQ(api_->CheckHealth(kServices[i]).response, Health::kNotServing) << kServices[i];
  }
  watches.clear();
  int answered = 0;
  while (absl::Now() < signalled + 0.8 * lame_duck) {
    const auto reply = api_->Predict(TestTensorRequest(answered, 1));
    if (absl::Now() > signalled + lame_duck) break;  // A machine this slow proves nothing.
    ASSERT_TRUE(reply.ok()) << reply.status;
    ++answered;
  }
  EXPECT_GT(answered, 0);
  EXPECT_EQ(server_->WaitForExit(absl::Seconds(20)), 0) << server_->log();
}

TEST_F(DrainTest, ASecondSignalStopsAtOnce) {
  StartServer({"--grpc-lame-duck", "10m"});
  server_->Signal(SIGTERM);
  ASSERT_TRUE(server_->WaitForLine("stopping signal=", absl::Seconds(20)).has_value()) << server_->log();
  EXPECT_FALSE(server_->WaitForExit(absl::Milliseconds(200)).has_value()) << "it serves on";
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->WaitForExit(absl::Seconds(20)), 128 + SIGTERM) << server_->log();
}

// Without a lame duck, what reached the server is answered, and what came after is refused with a code that
// says to retry elsewhere.
TEST_F(DrainTest, EveryCallIsAnsweredOrRefusedAsUnavailable) {
  StartServer({"--grpc-drain-timeout", "30s"});
  std::atomic<bool> stop{false};
  std::atomic<int64_t> answered{0};
  std::vector<std::jthread> callers;
  for (int caller = 0; caller < 8; ++caller) {
    callers.emplace_back([&, caller] {
      for (int i = caller; !stop; ++i) {
        const auto reply = api_->Predict(TestTensorRequest(i, 1 + i % 32));
        if (reply.ok()) {
          ++answered;
        } else {
          EXPECT_EQ(reply.status.code, absl::StatusCode::kUnavailable) << reply.status;
          stop = true;
        }
      }
    });
  }
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (answered < 50 && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(1));
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->WaitForExit(absl::Seconds(10)), 0) << server_->log();
  callers.clear();
  EXPECT_GE(answered, 50);
}

// One open stream, read on a thread of its own until it ends.
template <typename S, typename Response>
class OpenStream {
 public:
  explicit OpenStream(std::unique_ptr<S> stream)
      : stream_(std::move(stream)), reader_([this] { ReadAll(); }) {}
  S& operator*() { return *stream_; }
  S* operator->() { return stream_.get(); }

  bool WaitForResponses(int count, absl::Duration timeout) {
    const absl::Time deadline = absl::Now() + timeout;
    while (responses_ < count && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(1));
    return responses_ >= count;
  }
  int responses() const { return responses_; }
  bool ended() const { return ended_; }
  CallStatus Wait() {
    reader_.join();
    return status_;
  }

 private:
  void ReadAll() {
    Response response;
    while (stream_->Read(&response)) ++responses_;
    status_ = stream_->Finish();
    ended_ = true;
  }
  const std::unique_ptr<S> stream_;
  std::atomic<int> responses_{0};
  std::atomic<bool> ended_{false};
  CallStatus status_;
  std::jthread reader_;  // Last: it uses the members above.
};

TEST_F(DrainTest, OpenStreamsAreToldAfterHealthAndEndLongBeforeTheTimeout) {
  StartServer({"--grpc-lame-duck", "300ms", "--grpc-drain-timeout", "30s"});
  const std::vector<Labelled> predictions = PredictTestImages(*api_, 0, 64);

  OpenStream<PredictionStream, v1::StreamPredictResponse> predict(api_->StreamPredict());
  OpenStream<FeedbackStream, v1::StreamFeedbackResponse> feedback(api_->StreamFeedback());
  v1::WatchCalibrationRequest watch_request;
  watch_request.set_model(kModel);
  OpenStream<CalibrationWatch, v1::WatchCalibrationResponse> reports(api_->WatchCalibration(watch_request));
  const Api watching(server_->address());
  const auto health_watch = watching.WatchHealth("");
  Health health = Health::kUnknown;
  ASSERT_TRUE(health_watch->Read(&health));

  int predicted = 0, labelled = 0;
  const auto send_some = [&] {
    v1::StreamPredictRequest predict_request;
    predict_request.set_sequence(predicted);
    *predict_request.mutable_request() = TestTensorRequest(predicted, 32);
    EXPECT_TRUE(predict->Write(predict_request));
    ++predicted;
    v1::StreamFeedbackRequest feedback_request;
    const Labelled& next = predictions[labelled];
    *feedback_request.add_items() = Item(next.ticket, next.label);
    EXPECT_TRUE(feedback->Write(feedback_request));
    ++labelled;
  };
  for (int i = 0; i < 30; ++i) send_some();
  ASSERT_TRUE(predict.WaitForResponses(1, absl::Seconds(10)));
  ASSERT_TRUE(reports.WaitForResponses(1, absl::Seconds(10)));

  const absl::Time signalled = absl::Now();
  server_->Signal(SIGTERM);
  ASSERT_TRUE(health_watch->Read(&health));
  EXPECT_EQ(health, Health::kNotServing);
  EXPECT_FALSE(predict.ended() || feedback.ended() || reports.ended()) << "health says so first";
  send_some();  // The lame duck serves on.

  for (const CallStatus& status : {predict.Wait(), feedback.Wait(), reports.Wait()}) {
    EXPECT_EQ(status.code, absl::StatusCode::kUnavailable) << status;
    EXPECT_EQ(status.reason, "SHUTTING_DOWN");
  }
  EXPECT_EQ(predict.responses(), predicted) << "what was sent before the drain is answered";
  EXPECT_EQ(feedback.responses(), labelled);
  EXPECT_EQ(server_->WaitForExit(absl::Seconds(10)), 0) << server_->log();
  EXPECT_LT(absl::Now() - signalled, absl::Seconds(15)) << "well before the drain timeout";
  const StoredLog log = ReadStoredLog(data_dir_ / "calserve.db");
  EXPECT_EQ(log.rows, labelled) << "every acknowledged label is in the store";
  EXPECT_GT(log.checkpoint_position, 0) << "and the windows of what was folded by then";
}

TEST_F(DrainTest, IdleStreamsDoNotHoldUpTheExit) {
  StartServer({"--grpc-drain-timeout", "60s"});
  const auto predict = api_->StreamPredict();
  const auto feedback = api_->StreamFeedback();
  const auto fit = api_->FitCalibrator();
  v1::FitCalibratorRequest uploads;
  *uploads.mutable_specification() = UploadedFit(v1::CALIBRATION_METHOD_TEMPERATURE);
  ASSERT_TRUE(fit->Write(uploads));  // And then nothing.
  const auto watch = api_->WatchHealth("");
  Health health = Health::kUnknown;
  ASSERT_TRUE(watch->Read(&health));
  ASSERT_TRUE(api_->Predict(TestTensorRequest(0, 1)).ok());
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->WaitForExit(absl::Seconds(20)), 0) << server_->log();
}

TEST_F(DrainTest, AFitThatTakesTooLongIsCancelledAtTheTimeout) {
  StartServer({"--grpc-drain-timeout", "50ms"});
  const auto fit = api_->FitCalibrator();
  v1::FitCalibratorRequest request;
  *request.mutable_specification() = UploadedFit(v1::CALIBRATION_METHOD_PLATT);
  request.mutable_specification()->set_folds(20);
  ASSERT_TRUE(fit->Write(request));
  for (int part = 0; part < 30; ++part) {  // A fit of seconds.
    request.mutable_examples()->clear_examples();
    for (int i = 0; i < 2000; ++i) {
      v1::LabelledExample& example = *request.mutable_examples()->add_examples();
      for (int k = 0; k < kClasses; ++k) example.mutable_logits()->add_values((i * 7 + part + k * 31) % 17);
      example.set_class_index(i % kClasses);
    }
    ASSERT_TRUE(fit->Write(request));
  }
  fit->CloseWrites();
  v1::FitCalibratorResponse response;
  ASSERT_TRUE(fit->Read(&response)) << fit->Finish();
  ASSERT_TRUE(response.has_progress());
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->WaitForExit(absl::Seconds(20)), 0) << server_->log();
  EXPECT_THAT(server_->log(), ::testing::HasSubstr("drain timeout passed: calls cancelled=1"));
  EXPECT_FALSE(fit->Finish().ok());
}

}  // namespace
}  // namespace calserve::e2e
