// Tickets and labels over gRPC: every item is judged on its own, a label counts once however often it comes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <map>
#include <thread>

#include "tests/end_to_end/api.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/end_to_end/test_images.h"

namespace calserve::e2e {
namespace {

using ::testing::AnyOf;
using ::testing::Each;
using ::testing::HasSubstr;

class FeedbackTest : public ::testing::Test {
 protected:
  void SetUp() override { StartServer(); }

  void StartServer() {
    api_.reset();
    server_ = std::make_unique<ServerProcess>(ServerFlags{.data_dir = data_dir_.path()});
    ASSERT_TRUE(server_->WaitUntilServing()) << server_->log();
    api_ = std::make_unique<Api>(server_->address());
  }
  void RestartServer() {
    server_->Signal(SIGTERM);
    ASSERT_EQ(server_->WaitForExit(absl::Seconds(30)), 0) << server_->log();
    StartServer();
  }

  Labelled Predict(int image = 0) { return PredictTestImages(*api_, image, 1).front(); }
  // Submits between two good items, which must be accepted whatever becomes of `items`.
  std::vector<v1::FeedbackResult> SubmitAmongGoodOnes(const std::vector<v1::FeedbackItem>& items) {
    const Labelled first = Predict(), last = Predict();
    v1::SubmitFeedbackRequest request;
    *request.add_items() = Item(first.ticket, first.label);
    for (const v1::FeedbackItem& item : items) *request.add_items() = item;
    *request.add_items() = Item(last.ticket, last.label);
    const auto reply = api_->SubmitFeedback(request);
    EXPECT_TRUE(reply.ok()) << reply.status;
    std::vector<v1::FeedbackResult> results(reply->results().begin(), reply->results().end());
    EXPECT_EQ(results.size(), items.size() + 2);
    if (results.size() != items.size() + 2) return {};
    EXPECT_EQ(results.front().outcome(), v1::FEEDBACK_OUTCOME_ACCEPTED);
    EXPECT_EQ(results.back().outcome(), v1::FEEDBACK_OUTCOME_ACCEPTED);
    EXPECT_EQ(results.back().prediction_id(), last.prediction_id);
    return {results.begin() + 1, results.end() - 1};
  }
  v1::FeedbackResult SubmitOne(const v1::FeedbackItem& item) { return SubmitAmongGoodOnes({item}).at(0); }
  // Labels counted, whatever the calibrator.
  int64_t Counted(int64_t at_least) { return WaitForLabels(*api_, 0, at_least).served().n(); }

  TempDir data_dir_;
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<Api> api_;
};

TEST_F(FeedbackTest, ATicketWithAnyBitAlteredIsRejectedAndTheOthersAreAccepted) {
  const Labelled prediction = Predict();
  std::vector<v1::FeedbackItem> altered;
  for (size_t bit = 0; bit < prediction.ticket.size() * 8; bit += 7) {
    std::string ticket = prediction.ticket;
    ticket[bit / 8] = static_cast<char>(ticket[bit / 8] ^ (1 << bit % 8));
    altered.push_back(Item(ticket, prediction.label));
  }
  for (const v1::FeedbackResult& result : SubmitAmongGoodOnes(altered)) {
    EXPECT_EQ(result.outcome(), v1::FEEDBACK_OUTCOME_REJECTED);
    EXPECT_THAT(result.reason(), AnyOf(v1::REJECTION_REASON_TICKET_INVALID,
                                       v1::REJECTION_REASON_TICKET_FOREIGN));  // where its key id was hit
    EXPECT_NE(result.message(), "");
    EXPECT_EQ(result.prediction_id(), "");
  }
  EXPECT_EQ(Counted(2), 2);
  // The ticket itself was not used up.
  EXPECT_EQ(SubmitOne(Item(prediction.ticket, prediction.label)).outcome(), v1::FEEDBACK_OUTCOME_ACCEPTED);
}

TEST_F(FeedbackTest, ATicketTruncatedOrLengthenedIsRejected) {
  const Labelled prediction = Predict();
  std::vector<v1::FeedbackItem> items;
  for (size_t size = 0; size < prediction.ticket.size(); ++size) {
    items.push_back(Item(prediction.ticket.substr(0, size), prediction.label));
  }
  items.push_back(Item(prediction.ticket + 'x', prediction.label));
  for (const v1::FeedbackResult& result : SubmitAmongGoodOnes(items)) {
    EXPECT_EQ(result.outcome(), v1::FEEDBACK_OUTCOME_REJECTED);
    EXPECT_EQ(result.reason(), v1::REJECTION_REASON_TICKET_INVALID);
  }
}

TEST_F(FeedbackTest, ATicketFromAnotherServerIsRejectedAsForeign) {
  const TempDir other_data;
  ServerProcess other({.data_dir = other_data.path()});
  ASSERT_TRUE(other.WaitUntilServing()) << other.log();
  const Labelled foreign = PredictTestImages(Api(other.address()), 0, 1).front();
  const v1::FeedbackResult result = SubmitOne(Item(foreign.ticket, foreign.label));
  EXPECT_EQ(result.outcome(), v1::FEEDBACK_OUTCOME_REJECTED);
  EXPECT_EQ(result.reason(), v1::REJECTION_REASON_TICKET_FOREIGN);
  EXPECT_THAT(result.message(), HasSubstr("key"));
}

TEST_F(FeedbackTest, ALabelOutOfRangeUnknownOrMissingIsRejected) {
  const Labelled prediction = Predict();
  v1::FeedbackItem unknown, missing;
  unknown.set_ticket(prediction.ticket);
  unknown.set_class_name("Trilobite");
  missing.set_ticket(prediction.ticket);
  const auto results = SubmitAmongGoodOnes({Item(prediction.ticket, kClasses), Item(prediction.ticket, -1),
                                            Item(prediction.ticket, 1 << 30), unknown, missing});
  ASSERT_EQ(results.size(), 5);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(results[i].outcome(), v1::FEEDBACK_OUTCOME_REJECTED);
    EXPECT_EQ(results[i].reason(),
              i < 3 ? v1::REJECTION_REASON_LABEL_OUT_OF_RANGE : v1::REJECTION_REASON_LABEL_UNKNOWN)
        << results[i].ShortDebugString();
  }
  EXPECT_THAT(results[0].message(), HasSubstr("10"));
  EXPECT_THAT(results[3].message(), HasSubstr("Trilobite"));
}

TEST_F(FeedbackTest, ALabelMayBeGivenByName) {
  const std::string name = api_->GetModel(kModel)->model().labels(3);
  const Labelled prediction = Predict();
  v1::FeedbackItem item;
  item.set_ticket(prediction.ticket);
  item.set_class_name(name);
  EXPECT_EQ(SubmitOne(item).outcome(), v1::FEEDBACK_OUTCOME_ACCEPTED);
  EXPECT_EQ(SubmitOne(Item(prediction.ticket, 3)).outcome(), v1::FEEDBACK_OUTCOME_DUPLICATE);
}

TEST_F(FeedbackTest, TheSameFeedbackAtOnceAndAfterARestartIsCountedOnce) {
  constexpr int kThreads = 8;
  const std::vector<Labelled> predictions = PredictTestImages(*api_, 0, 20);
  std::vector<v1::SubmitFeedbackResponse> responses(kThreads);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back(
          [&, t] { responses[t] = api_->SubmitFeedback(FeedbackRequest(predictions)).response; });
    }
  }
  std::map<v1::FeedbackOutcome, int> count;
  for (const auto& response : responses) {
    ASSERT_EQ(response.results_size(), 20);
    for (const v1::FeedbackOutcome outcome : Outcomes(response)) ++count[outcome];
  }
  EXPECT_EQ(count[v1::FEEDBACK_OUTCOME_ACCEPTED], 20);
  EXPECT_EQ(count[v1::FEEDBACK_OUTCOME_DUPLICATE], 20 * (kThreads - 1));
  EXPECT_EQ(Counted(20), 20);

  RestartServer();
  EXPECT_THAT(Outcomes(api_->SubmitFeedback(FeedbackRequest(predictions)).response),
              Each(v1::FEEDBACK_OUTCOME_DUPLICATE));
  Label(*api_, PredictTestImages(*api_, 20, 1));  // Once this is counted, what came before is too.
  EXPECT_EQ(Counted(21), 21);
}

TEST_F(FeedbackTest, AnotherLabelForALabelledPredictionIsAConflict) {
  const Labelled prediction = Predict();
  Label(*api_, {&prediction, 1});
  const int other = (prediction.label + 1) % kClasses;
  const v1::FeedbackResult result = SubmitOne(Item(prediction.ticket, other));
  EXPECT_EQ(result.outcome(), v1::FEEDBACK_OUTCOME_REJECTED);
  EXPECT_EQ(result.reason(), v1::REJECTION_REASON_LABEL_CONFLICT);
  EXPECT_EQ(result.prediction_id(), prediction.prediction_id);
  EXPECT_EQ(Counted(3), 3);  // It, and the two good ones: the first label stands.
}

TEST_F(FeedbackTest, AStreamAcknowledgesItsBatchesInOrderAndABadBatchEndsItWithItsRule) {
  const std::vector<Labelled> predictions = PredictTestImages(*api_, 0, 64);
  const auto stream = api_->StreamFeedback();
  v1::StreamFeedbackRequest request;
  for (size_t i = 0; i < predictions.size(); ++i) {
    request.clear_items();
    request.set_sequence(1000 + i);
    *request.add_items() = Item(predictions[i].ticket, predictions[i].label);
    *request.add_items() = Item("no ticket", 0);
    ASSERT_TRUE(stream->Write(request));
  }
  v1::StreamFeedbackResponse response;
  for (size_t i = 0; i < predictions.size(); ++i) {
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.sequence(), 1000 + i);
    ASSERT_EQ(response.results_size(), 2);
    EXPECT_EQ(response.results(0).outcome(), v1::FEEDBACK_OUTCOME_ACCEPTED);
    EXPECT_EQ(response.results(0).prediction_id(), predictions[i].prediction_id);
    EXPECT_EQ(response.results(1).reason(), v1::REJECTION_REASON_TICKET_INVALID);
  }
  request.clear_items();
  stream->Write(request);
  EXPECT_FALSE(stream->Read(&response));
  const CallStatus status = stream->Finish();
  EXPECT_EQ(status.code, absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(status.message, HasSubstr("1 to 10000"));
}

TEST_F(FeedbackTest, TheFirstOfTwoLabelsOnOneStreamStands) {
  const std::vector<Labelled> predictions = PredictTestImages(*api_, 0, 2000);
  const auto stream = api_->StreamFeedback();
  std::jthread writer([&] {
    v1::StreamFeedbackRequest request;
    for (const Labelled& prediction : predictions) {
      for (const int label : {0, 1}) {
        request.clear_items();
        *request.add_items() = Item(prediction.ticket, label);
        if (!stream->Write(request)) return;
      }
    }
    stream->CloseWrites();
  });
  v1::StreamFeedbackResponse response;
  int accepted_first = 0, refused_second = 0;
  for (int batch = 0; stream->Read(&response); ++batch) {
    const v1::FeedbackResult& result = response.results(0);
    if (batch % 2 == 0) accepted_first += result.outcome() == v1::FEEDBACK_OUTCOME_ACCEPTED;
    if (batch % 2 == 1) refused_second += result.reason() == v1::REJECTION_REASON_LABEL_CONFLICT;
  }
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(accepted_first, 2000);
  EXPECT_EQ(refused_second, 2000);
}

}  // namespace
}  // namespace calserve::e2e
