// The whole server in one process, with a model and a clock that do as told: what must not depend on timing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "absl/time/clock.h"
#include "server/base/error_info.h"
#include "tests/end_to_end/api.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/integration/await.h"
#include "tests/integration/in_process_server.h"

namespace calserve::integration {
namespace {

using e2e::Api;
using e2e::CallStatus;
using ::testing::Contains;
using ::testing::Each;
using ::testing::Not;

constexpr int kClasses = 4;

class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.data_dir = data_dir_ / "data";
    options_.classes = kClasses;
    Start();
  }
  void Start() {
    api_.reset();
    server_.reset();
    server_ = std::make_unique<InProcessServer>(options_, clock_);
    api_ = std::make_unique<Api>(server_->address());
  }

  // A row whose first logit tells it from the others.
  static v1::Input Row(float tag, float second = 0) {
    const float values[kClasses] = {tag, second};
    v1::Input input;
    input.mutable_tensor()->add_shape(kClasses);
    input.mutable_tensor()->set_data(values, sizeof(values));
    return input;
  }
  static v1::PredictRequest Request(float tag, float second = 0) {
    v1::PredictRequest request;
    request.set_model("puppet");
    *request.add_inputs() = Row(tag, second);
    return request;
  }
  v1::Prediction Predict(float tag, float second = 0) {
    const auto reply = api_->Predict(Request(tag, second));
    EXPECT_TRUE(reply.ok()) << reply.status;
    return reply->predictions(0);
  }
  v1::FeedbackResult Submit(const v1::Prediction& prediction, int label) {
    v1::SubmitFeedbackRequest request;
    request.add_items()->set_ticket(prediction.ticket());
    request.mutable_items(0)->set_class_index(label);
    const auto reply = api_->SubmitFeedback(request);
    EXPECT_TRUE(reply.ok()) << reply.status;
    return reply->results(0);
  }
  // Puts a request into the model and leaves it there until Release.
  std::unique_ptr<Api::PendingPredict> OccupyTheModel() {
    server_->model().Hold();
    auto pending = api_->StartPredict(Request(-1));
    EXPECT_TRUE(server_->model().WaitUntilHolding());
    return pending;
  }

  e2e::TempDir data_dir_;
  ManualClock clock_{absl::Now()};
  InProcessOptions options_;
  std::unique_ptr<InProcessServer> server_;
  std::unique_ptr<Api> api_;
};

TEST_F(ServerTest, ADeadlineThatPassesInTheQueueKeepsTheRequestFromTheModel) {
  const auto occupying = OccupyTheModel();
  const CallStatus status = api_->Predict(Request(7), absl::Milliseconds(50)).status;
  EXPECT_EQ(status.code, absl::StatusCode::kDeadlineExceeded) << status;
  // While the model is still busy: the place in the queue is free again.
  EXPECT_TRUE(Await([&] {
    const Batcher::Counters counters = server_->batcher_counters();
    return counters.expired + counters.cancelled == 1 && counters.queued_rows == 0;
  }));
  server_->model().Release();
  EXPECT_TRUE(occupying->Wait().ok());
  EXPECT_TRUE(api_->Predict(Request(8)).ok());
  EXPECT_THAT(server_->model().rows_run(), testing::ElementsAre(-1, 8));
}

TEST_F(ServerTest, ACancelledCallNeverReachesTheModel) {
  const auto occupying = OccupyTheModel();
  const auto cancelled = api_->StartPredict(Request(7));
  ASSERT_TRUE(Await([&] { return server_->batcher_counters().queued_rows == 1; }));
  cancelled->Cancel();
  EXPECT_EQ(cancelled->Wait().status.code, absl::StatusCode::kCancelled);
  EXPECT_TRUE(Await([&] { return server_->batcher_counters().cancelled == 1; }));
  EXPECT_EQ(server_->batcher_counters().queued_rows, 0);
  server_->model().Release();
  EXPECT_TRUE(occupying->Wait().ok());
  EXPECT_TRUE(api_->Predict(Request(8)).ok());
  EXPECT_THAT(server_->model().rows_run(), testing::ElementsAre(-1, 8));
}

TEST_F(ServerTest, AFullQueueRefusesAtOnceAndSaysWhenToRetry) {
  options_.batching.max_batch_size = 2;
  options_.batching.max_queue_rows = 4;
  Start();
  const auto occupying = OccupyTheModel();
  std::vector<std::unique_ptr<Api::PendingPredict>> queued;
  for (int i = 0; i < 4; ++i) queued.push_back(api_->StartPredict(Request(i)));
  ASSERT_TRUE(Await([&] { return server_->batcher_counters().queued_rows == 4; }));

  // Answered although the model is held: the refusal waits for nothing.
  const CallStatus status = api_->Predict(Request(99)).status;
  EXPECT_EQ(status.code, absl::StatusCode::kResourceExhausted) << status;
  EXPECT_NE(status.reason, "");
  EXPECT_EQ(status.domain, "calserve");
  ASSERT_TRUE(status.retry_after.has_value());
  EXPECT_GT(*status.retry_after, absl::ZeroDuration());

  server_->model().Release();
  EXPECT_TRUE(occupying->Wait().ok());
  for (const auto& pending : queued) EXPECT_TRUE(pending->Wait().ok());
  EXPECT_THAT(server_->model().rows_run(), Not(Contains(99)));
}

TEST_F(ServerTest, ADrainAnswersWhatIsInTheModelAndInTheQueue) {
  const auto occupying = OccupyTheModel();
  const auto queued = api_->StartPredict(Request(7));
  ASSERT_TRUE(Await([&] { return server_->batcher_counters().queued_rows == 1; }));
  std::jthread drain([&] { EXPECT_EQ(server_->Drain(), 0) << "calls cancelled"; });
  // New calls are refused by now, with the model still held.
  EXPECT_TRUE(Await([&] {
    v1::PredictRequest unknown = Request(8);
    unknown.set_model("unknown");  // Refused before the queue, whether draining or not.
    return api_->Predict(unknown).status.code == absl::StatusCode::kUnavailable;
  }));
  server_->model().Release();
  EXPECT_TRUE(occupying->Wait().ok());
  EXPECT_TRUE(queued->Wait().ok());
}

// The response of a request answers with one calibrator, all of it, whichever it was.
TEST_F(ServerTest, EveryResponseIsOfTheCalibratorThatItNamesDuring100Activations) {
  std::map<int64_t, Calibrator> calibrators;
  calibrators.emplace(0, Calibrator::None(kClasses));
  for (const int wrong_one_in : {3, 7}) {  // Two noisy sets, two calibrators.
    LabelledLogits data;
    data.columns = kClasses;
    for (int i = 0; i < 400; ++i) {
      const int predicted = i % kClasses;
      for (int k = 0; k < kClasses; ++k) data.logits.push_back(k == predicted ? 6 + i % 5 : 0);
      data.labels.push_back(i % wrong_one_in == 0 ? (predicted + 1) % kClasses : predicted);
    }
    std::atomic<bool> done{false};
    server_->registry().FitUploaded(
        {"puppet", 1, kClasses}, CalibrationMethod::kTemperature, {.folds = 5}, data,
        [](const std::string&, double, int64_t) { return true; },
        [&](absl::StatusOr<CalibratorVersion> fitted) {
          if (fitted.ok()) calibrators.emplace(fitted->version, *Calibrator::Create(fitted->spec));
          done = true;
        });
    ASSERT_TRUE(Await([&] { return done.load(); }));
  }
  ASSERT_EQ(calibrators.size(), 3);

  std::atomic<bool> stop{false};
  std::vector<std::map<int64_t, int>> answered(4);
  std::vector<std::jthread> callers;
  for (size_t caller = 0; caller < answered.size(); ++caller) {
    callers.emplace_back([&, caller] {
      v1::PredictRequest request = Request(3, 1);
      for (int i = 1; i < 8; ++i) *request.add_inputs() = Row(i, 2);
      request.mutable_options()->set_return_logits(true);
      request.mutable_options()->set_return_probabilities(true);
      while (!stop) {
        const auto reply = api_->Predict(request);
        ASSERT_TRUE(reply.ok()) << reply.status;
        const Calibrator& named = calibrators.at(reply->calibrator_version());
        ASSERT_EQ(reply->calibrator_method(), MethodName(named.spec().method));
        for (const v1::Prediction& prediction : reply->predictions()) {
          std::vector<float> expected(kClasses);
          ASSERT_TRUE(named
                          .Apply(std::vector<float>(prediction.logits().begin(), prediction.logits().end()),
                                 absl::MakeSpan(expected))
                          .ok());
          ASSERT_THAT(prediction.probabilities(), testing::ElementsAreArray(expected));
        }
        ++answered[caller][reply->calibrator_version()];
      }
    });
  }
  int64_t active = 0;
  for (int i = 1; i <= 100; ++i) {
    v1::ActivateCalibratorRequest request;
    request.set_model("puppet");
    request.set_version(i % 3);
    request.set_expected_active_version(active);
    const auto reply = api_->Activate(request);
    ASSERT_TRUE(reply.ok()) << reply.status;
    active = request.version();
  }
  stop = true;
  callers.clear();
  std::map<int64_t, int> total;
  for (const auto& counts : answered) {
    for (const auto& [version, count] : counts) total[version] += count;
  }
  EXPECT_EQ(total.size(), 3) << "each calibrator answered some";
}

TEST_F(ServerTest, OnlyOneOfManyWhoExpectTheSameActiveCalibratorWins) {
  LabelledLogits data;
  data.columns = kClasses;
  for (int i = 0; i < 400; ++i) {
    for (int k = 0; k < kClasses; ++k) data.logits.push_back(k == i % kClasses ? 8 : 0);
    data.labels.push_back(i % 5 == 0 ? (i + 1) % kClasses : i % kClasses);
  }
  std::atomic<bool> done{false};
  server_->registry().FitUploaded(
      {"puppet", 1, kClasses}, CalibrationMethod::kTemperature, {.folds = 5}, data,
      [](const std::string&, double, int64_t) { return true; },
      [&](absl::StatusOr<CalibratorVersion> fitted) { done = fitted.ok(); });
  ASSERT_TRUE(Await([&] { return done.load(); }));
  std::atomic<int> won{0}, aborted{0};
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < 8; ++i) {
      callers.emplace_back([&] {
        v1::ActivateCalibratorRequest request;
        request.set_model("puppet");
        request.set_version(1);
        const CallStatus status = api_->Activate(request).status;
        if (status.ok()) ++won;
        if (status.code == absl::StatusCode::kAborted) ++aborted;
      });
    }
  }
  EXPECT_EQ(won, 1);
  EXPECT_EQ(aborted, 7);
}

TEST_F(ServerTest, ATicketExpiresAfterTheFeedbackTtlAndNotBefore) {
  const v1::Prediction prompt = Predict(1), late = Predict(2);
  clock_.Advance(options_.tickets.feedback_ttl - absl::Seconds(1));
  EXPECT_EQ(Submit(prompt, 0).outcome(), v1::FEEDBACK_OUTCOME_ACCEPTED);
  clock_.Advance(absl::Seconds(2));
  const v1::FeedbackResult result = Submit(late, 0);
  EXPECT_EQ(result.outcome(), v1::FEEDBACK_OUTCOME_REJECTED);
  EXPECT_EQ(result.reason(), v1::REJECTION_REASON_TICKET_EXPIRED);
  EXPECT_THAT(result.message(), testing::HasSubstr("336h"));
}

TEST_F(ServerTest, ATicketOfMoreThanFiveMinutesAheadIsFromTheFuture) {
  const v1::Prediction prediction = Predict(1);
  clock_.Advance(-absl::Minutes(5) - absl::Seconds(1));
  EXPECT_EQ(Submit(prediction, 0).reason(), v1::REJECTION_REASON_TICKET_FROM_FUTURE);
  clock_.Advance(absl::Seconds(2));
  EXPECT_EQ(Submit(prediction, 0).outcome(), v1::FEEDBACK_OUTCOME_ACCEPTED);
}

TEST_F(ServerTest, TheSameFeedbackADayLaterIsADuplicateAndAnotherLabelAConflictThatIsCounted) {
  const v1::Prediction prediction = Predict(1);
  EXPECT_EQ(Submit(prediction, 0).outcome(), v1::FEEDBACK_OUTCOME_ACCEPTED);
  clock_.Advance(absl::Hours(24));
  EXPECT_EQ(Submit(prediction, 0).outcome(), v1::FEEDBACK_OUTCOME_DUPLICATE);
  Start();
  EXPECT_EQ(Submit(prediction, 0).outcome(), v1::FEEDBACK_OUTCOME_DUPLICATE);
  EXPECT_EQ(Submit(prediction, 1).reason(), v1::REJECTION_REASON_LABEL_CONFLICT);
  const FeedbackIngestor::Counters counters = server_->feedback_counters();
  EXPECT_EQ(counters.accepted, 0);
  EXPECT_EQ(counters.duplicate, 1);
  EXPECT_EQ(counters.label_conflict, 1);
  EXPECT_EQ(counters.rejected, 1);
}

TEST_F(ServerTest, EveryWindowIsTheSameToTheBitAfterARestart) {
  for (int i = 0; i < 200; ++i) {
    clock_.Advance(absl::Minutes(i % 7));
    const v1::Prediction prediction = Predict(0.03f * static_cast<float>(i), 1);
    EXPECT_EQ(Submit(prediction, i % 3).outcome(), v1::FEEDBACK_OUTCOME_ACCEPTED);
  }
  const auto windows = [&] {
    std::vector<std::string> reports;
    for (const char* window : {"last_1000", "last_10000", "last_1h", "last_24h", "decay_1h"}) {
      v1::GetCalibrationReportRequest request;
      request.set_model("puppet");
      request.set_window(window);
      EXPECT_TRUE(Await([&] {
        const auto reply = api_->Report(request);
        return reply->report().as_of().position() == 200 && !reply->report().catching_up();
      }));
      v1::WindowReport report = api_->Report(request)->report();
      report.clear_selection();  // Of what was predicted since the start.
      reports.push_back(report.DebugString());
    }
    return reports;
  };
  const std::vector<std::string> before = windows();
  Start();
  EXPECT_EQ(windows(), before);
}

TEST_F(ServerTest, ADeviceThatIsLostTurnsReadinessOffAndItsCallsMayBeTriedElsewhere) {
  const std::string service = "calserve.v1.PredictionService";
  ASSERT_EQ(api_->CheckHealth(service).response, e2e::Health::kServing);
  server_->model().Break(
      WithReason(absl::UnavailableError("the device cuda:0 does not answer any more"), kDeviceLost));
  const CallStatus status = api_->Predict(Request(1)).status;
  EXPECT_EQ(status.code, absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(status.reason, "DEVICE_LOST");
  EXPECT_EQ(api_->CheckHealth(service).response, e2e::Health::kNotServing);
  EXPECT_EQ(api_->CheckHealth("").response, e2e::Health::kNotServing);
  server_->model().Break(absl::OkStatus());
  EXPECT_TRUE(api_->Predict(Request(2)).ok()) << "what another device serves goes on";
  EXPECT_EQ(api_->CheckHealth(service).response, e2e::Health::kNotServing) << "until the process is another";
}

TEST_F(ServerTest, DetailedMetricsAreOfStoredLabelsWithTheirPositionAndLimit) {
  for (int i = 0; i < 60; ++i) {
    const v1::Prediction prediction = Predict(0.1f * static_cast<float>(i % 10), 1);
    EXPECT_EQ(Submit(prediction, i % 3).outcome(), v1::FEEDBACK_OUTCOME_ACCEPTED);
  }
  v1::GetCalibrationReportRequest request;
  request.set_model("puppet");
  request.mutable_stored()->set_max_rows(50);
  EXPECT_FALSE(api_->Report(request)->report().has_served_details()) << "not asked for";
  request.set_detailed(true);
  const auto reply = api_->Report(request);
  ASSERT_TRUE(reply.ok()) << reply.status;
  EXPECT_EQ(reply->report().as_of().position(), 60);
  for (const v1::DetailedMetrics& details :
       {reply->report().served_details(), reply->report().uncalibrated_details()}) {
    EXPECT_EQ(details.n(), 50);
    EXPECT_EQ(details.n_with_logits(), 50);
    EXPECT_NEAR(details.accuracy().value(), reply->report().served().accuracy(), 1e-12);
    EXPECT_TRUE(details.has_debiased_test() && details.has_classwise_ece() && details.has_brier_parts());
  }
  request.set_window("last_1000");
  const auto of_window = api_->Report(request);
  EXPECT_EQ(of_window.status.code, absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(of_window.status.message, "detailed metrics need the rows: select stored labels, not a window");
}

}  // namespace
}  // namespace calserve::integration
