#include "server/feedback/feedback_ingestor.h"

#include <atomic>
#include <future>
#include <latch>
#include <map>
#include <thread>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/mutex.h"
#include "tests/unit/feedback/feedback_testing.h"
#include "tests/unit/feedback/forwarding_store.h"
#include "tests/unit/feedback/memory_store.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Outcome = FeedbackResult::Outcome;
using Reason = FeedbackResult::Reason;
using Results = absl::StatusOr<std::vector<FeedbackResult>>;

// Counts commits, and a test can hold them while more feedback arrives.
class HeldStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;

  void Hold() {
    MutexLock lock(&mu_);
    held_ = true;
  }
  void Release() {
    MutexLock lock(&mu_);
    held_ = false;
    changed_.SignalAll();
  }
  // Waits until an Append is being held.
  void AwaitAppend() {
    MutexLock lock(&mu_);
    while (!waiting_) changed_.Wait(&mu_);
  }
  std::vector<size_t> commits() {
    MutexLock lock(&mu_);
    return commits_;
  }

  absl::StatusOr<std::vector<AppendOutcome>> Append(absl::Span<ScoredLabel> labels, absl::Time now) override {
    {
      MutexLock lock(&mu_);
      commits_.push_back(labels.size());
      waiting_ = true;
      changed_.SignalAll();
      while (held_) changed_.Wait(&mu_);
      waiting_ = false;
    }
    return ForwardingStore::Append(labels, now);
  }

 private:
  Mutex mu_;
  CondVar changed_;
  bool held_ ABSL_GUARDED_BY(mu_) = false;
  bool waiting_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<size_t> commits_ ABSL_GUARDED_BY(mu_);
};

class FeedbackIngestorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    sealer_ = *CreateTicketSealer({}, directory_.path(), store_.deployment_id(), clock_);
    Start();
  }
  void Start() {
    const auto lookup = [this](const TicketContent& prediction,
                               const std::string& label) -> absl::StatusOr<int32_t> {
      if (label == "held") {
        let_go_.wait();
        return 3;
      }
      if (prediction.model == "fashion" && label == "boot") return 9;
      if (label == "beyond") return 10;
      return absl::NotFoundError("no such class");
    };
    ingestor_.reset();
    absl::StatusOr<std::unique_ptr<FeedbackIngestor>> ingestor =
        FeedbackIngestor::Create(options_, *sealer_, store_, clock_, lookup, [this] { ++commits_seen_; });
    ASSERT_TRUE(ingestor.ok()) << ingestor.status();
    ingestor_ = *std::move(ingestor);
  }

  Feedback Label(uint64_t number, std::variant<std::monostate, int32_t, std::string> label = 1) {
    return {sealer_->Seal(MakePrediction(number)), std::move(label)};
  }
  std::future<Results> SubmitAsync(std::vector<Feedback> items, std::string source = "") {
    auto promise = std::make_shared<std::promise<Results>>();
    std::future<Results> future = promise->get_future();
    ingestor_->Submit(std::move(items), std::move(source), "alice",
                      [promise](Results results) { promise->set_value(std::move(results)); });
    return future;
  }
  std::vector<FeedbackResult> Submit(std::vector<Feedback> items, std::string source = "") {
    Results results = SubmitAsync(std::move(items), std::move(source)).get();
    EXPECT_TRUE(results.ok()) << results.status();
    return results.ok() ? *results : std::vector<FeedbackResult>();
  }
  FeedbackResult SubmitOne(Feedback item) {
    std::vector<FeedbackResult> results = Submit({std::move(item)});
    return results.empty() ? FeedbackResult() : results[0];
  }
  // Until what was submitted before waits for the writer.
  void AwaitChecks() { SubmitOne({"rubbish", 1}); }
  absl::Status Error(std::vector<Feedback> items, std::string source = "") {
    return SubmitAsync(std::move(items), std::move(source)).get().status();
  }
  int64_t Rows() { return static_cast<int64_t>(store_.Read({}, 1'000'000)->size()); }

  const TemporaryDirectory directory_;
  ManualClock clock_{kStart};
  MemoryStore memory_;
  HeldStore store_{memory_};
  std::unique_ptr<TicketSealer> sealer_;
  FeedbackOptions options_;
  std::latch let_go_{1};  // of the name "held"
  std::atomic<int> commits_seen_ = 0;
  std::unique_ptr<FeedbackIngestor> ingestor_;
};

MATCHER_P2(Is, outcome, reason, "") { return arg.outcome == outcome && arg.reason == reason; }

TEST_F(FeedbackIngestorTest, AnAcceptedLabelIsInTheLogWithWhoSentIt) {
  const FeedbackResult result = Submit({Label(1, 4)}, "annotator")[0];
  EXPECT_THAT(result, Is(Outcome::kAccepted, Reason::kNone));
  EXPECT_EQ(result.prediction_id, MakePrediction(1).prediction_id.ToString());
  const ScoredLabel row = store_.Read({}, 1)->at(0);
  EXPECT_EQ(row.label, 4);
  EXPECT_EQ(row.source, "annotator");
  EXPECT_EQ(row.submitter, "alice");
  EXPECT_EQ(row.time, kStart);
  EXPECT_EQ(row.prediction.model, "fashion");
  EXPECT_EQ(commits_seen_, 1);
}

TEST_F(FeedbackIngestorTest, EachItemOfABatchGetsItsOwnOutcome) {
  const auto foreign = *CreateTicketSealer({}, directory_.path(), "another deployment", clock_);
  const auto sealed_at = [&](absl::Time time) { return sealer_->Seal(MakePrediction(50, 10, time)); };
  Feedback altered = Label(1);
  altered.ticket.back() ^= 1;
  const std::vector<FeedbackResult> results = Submit({
      Label(1, 1),
      altered,
      {foreign->Seal(MakePrediction(2)), 1},
      {sealed_at(kStart - absl::Hours(15 * 24)), 1},
      {sealed_at(kStart + absl::Minutes(6)), 1},
      {"", 1},
      Label(3, 10),
      Label(3, -1),
      Label(3, "beyond"),
      Label(3, "sandal"),
      Label(3, std::monostate()),
      Label(3, "boot"),
      Label(1, 1),
      Label(1, 2),
  });
  EXPECT_THAT(
      results,
      ElementsAre(
          Is(Outcome::kAccepted, Reason::kNone), Is(Outcome::kRejected, Reason::kTicketInvalid),
          Is(Outcome::kRejected, Reason::kTicketForeign), Is(Outcome::kRejected, Reason::kTicketExpired),
          Is(Outcome::kRejected, Reason::kTicketFromFuture), Is(Outcome::kRejected, Reason::kTicketInvalid),
          Is(Outcome::kRejected, Reason::kLabelOutOfRange), Is(Outcome::kRejected, Reason::kLabelOutOfRange),
          Is(Outcome::kRejected, Reason::kLabelOutOfRange), Is(Outcome::kRejected, Reason::kLabelUnknown),
          Is(Outcome::kRejected, Reason::kLabelUnknown), Is(Outcome::kAccepted, Reason::kNone),
          Is(Outcome::kDuplicate, Reason::kNone), Is(Outcome::kRejected, Reason::kLabelConflict)));
  EXPECT_EQ(results[6].message, "the label must be in [0, 10); was 10");
  EXPECT_EQ(results[9].message, "no such class");
  EXPECT_THAT(results[13].message, HasSubstr("another label already"));
  EXPECT_EQ(results[6].prediction_id, MakePrediction(3).prediction_id.ToString());
  EXPECT_EQ(results[1].prediction_id, "");
  EXPECT_EQ(store_.Read({}, 9)->at(1).label, 9);
  const FeedbackIngestor::Counters counters = ingestor_->counters();
  EXPECT_EQ(counters.accepted, 2);
  EXPECT_EQ(counters.duplicate, 1);
  EXPECT_EQ(counters.label_conflict, 1);
  EXPECT_EQ(counters.rejected, 11);
  EXPECT_EQ(counters.commit.count(), 1);
  EXPECT_EQ(counters.label_delay.count(), 2) << "only of what was accepted";
  EXPECT_EQ(counters.queued_labels, 0);
}

TEST_F(FeedbackIngestorTest, ABatchWithoutAGoodItemNeverWaitsForTheStore) {
  memory_.FailWith(absl::UnavailableError("down"));
  EXPECT_THAT(SubmitOne({"rubbish", 1}), Is(Outcome::kRejected, Reason::kTicketInvalid));
  EXPECT_TRUE(Submit({}).empty());
}

TEST_F(FeedbackIngestorTest, TheSameFeedbackLaterIsADuplicateCountedOnce) {
  const Feedback feedback = Label(1, 5);
  EXPECT_THAT(SubmitOne(feedback), Is(Outcome::kAccepted, Reason::kNone));
  clock_.Advance(absl::Hours(24));
  EXPECT_THAT(SubmitOne(feedback), Is(Outcome::kDuplicate, Reason::kNone));
  EXPECT_THAT(SubmitOne({feedback.ticket, 6}), Is(Outcome::kRejected, Reason::kLabelConflict));
  EXPECT_EQ(Rows(), 1);
}

TEST_F(FeedbackIngestorTest, WhatWaitsIsCommittedTogether) {
  store_.Hold();
  std::vector<std::future<Results>> futures;
  futures.push_back(SubmitAsync({Label(0)}));
  store_.AwaitAppend();
  for (int i = 1; i <= 20; ++i) futures.push_back(SubmitAsync({Label(2 * i), Label(2 * i + 1)}));
  AwaitChecks();
  store_.Release();
  for (auto& future : futures) EXPECT_TRUE(future.get().ok());
  EXPECT_THAT(store_.commits(), ElementsAre(1, 40));
  EXPECT_EQ(commits_seen_, 2);
  const std::vector<ScoredLabel> rows = *store_.Read({}, 100);
  for (size_t i = 1; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i].prediction.prediction_id, MakePrediction(i + 1).prediction_id)
        << "in the order of arrival";
  }
}

TEST_F(FeedbackIngestorTest, ACommitIsBoundedAndKeepsASubmitWholeWhereItFits) {
  options_.max_commit_labels = 5;
  Start();
  store_.Hold();
  std::vector<std::future<Results>> futures;
  futures.push_back(SubmitAsync({Label(0)}));
  store_.AwaitAppend();
  uint64_t next = 1;
  for (const int size : {3, 3, 12, 2}) {
    std::vector<Feedback> items;
    for (int i = 0; i < size; ++i) items.push_back(Label(next++));
    futures.push_back(SubmitAsync(std::move(items)));
  }
  AwaitChecks();
  store_.Release();
  for (auto& future : futures) EXPECT_TRUE(future.get().ok());
  EXPECT_THAT(store_.commits(), ElementsAre(1, 3, 3, 5, 5, 2, 2));
}

TEST_F(FeedbackIngestorTest, AnAcknowledgementWaitsForTheCommit) {
  store_.Hold();
  std::future<Results> future = SubmitAsync({Label(1)});
  store_.AwaitAppend();
  EXPECT_EQ(future.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  store_.Release();
  EXPECT_TRUE(future.get().ok());
}

TEST_F(FeedbackIngestorTest, SubmitDoesNotWaitForTheLookup) {
  std::future<Results> held = SubmitAsync({Label(1, "held")});
  std::future<Results> behind = SubmitAsync({Label(2)});
  EXPECT_TRUE(Submit({}).empty()) << "there is nothing to check";
  EXPECT_EQ(held.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  EXPECT_EQ(ingestor_->counters().queued_labels, 2);
  let_go_.count_down();
  EXPECT_THAT(held.get().value(), ElementsAre(Is(Outcome::kAccepted, Reason::kNone)));
  EXPECT_THAT(behind.get().value(), ElementsAre(Is(Outcome::kAccepted, Reason::kNone)));
  EXPECT_EQ(store_.Read({}, 9)->at(0).label, 3);
}

TEST_F(FeedbackIngestorTest, OfTwoLabelsOfAPredictionTheOneThatWasSentFirstCounts) {
  const std::string ticket = sealer_->Seal(MakePrediction(1));
  std::future<Results> first = SubmitAsync({{ticket, "held"}});
  std::future<Results> second = SubmitAsync({{ticket, 4}});
  let_go_.count_down();
  EXPECT_THAT(first.get().value(), ElementsAre(Is(Outcome::kAccepted, Reason::kNone)));
  EXPECT_THAT(second.get().value(), ElementsAre(Is(Outcome::kRejected, Reason::kLabelConflict)));
}

TEST_F(FeedbackIngestorTest, WhatIsToBeCheckedFillsTheQueueAndNoneOfItIsLost) {
  options_.max_queued_labels = 4;
  Start();
  std::vector<std::future<Results>> futures;
  for (int i = 0; i < 4; ++i) futures.push_back(SubmitAsync({Label(i, "held")}));
  EXPECT_THAT(Error({Label(4)}), StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("4 of 4 labels")));
  let_go_.count_down();
  for (auto& future : futures) EXPECT_TRUE(future.get().ok());
  EXPECT_EQ(Rows(), 4);
}

TEST_F(FeedbackIngestorTest, AFullQueueIsRefusedAtOnce) {
  options_.max_queued_labels = 4;
  Start();
  store_.Hold();
  std::vector<std::future<Results>> futures;
  futures.push_back(SubmitAsync({Label(0)}));
  store_.AwaitAppend();
  futures.push_back(SubmitAsync({Label(1), Label(2), Label(3)}));
  const absl::Status full = Error({Label(4), Label(5)});
  EXPECT_THAT(full, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("3 of 4 labels")));
  EXPECT_EQ(ErrorReason(full), "FEEDBACK_QUEUE_FULL");
  EXPECT_NE(ErrorRetryAfter(full), std::nullopt);
  EXPECT_THAT(Submit({{"rubbish", 1}}), ElementsAre(Is(Outcome::kRejected, Reason::kTicketInvalid)))
      << "what is rejected takes no place";
  futures.push_back(SubmitAsync({Label(4)}));
  store_.Release();
  for (auto& future : futures) EXPECT_TRUE(future.get().ok());
  EXPECT_EQ(Rows(), 5);
}

TEST_F(FeedbackIngestorTest, TheQueueIsBoundedInBytesToo) {
  options_.max_queued_bytes = 1000;
  Start();
  EXPECT_THAT(Error({{std::string(1001, 'x'), 1}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("send them in parts")));
  store_.Hold();
  std::vector<std::future<Results>> futures;
  futures.push_back(SubmitAsync({Label(0)}));
  store_.AwaitAppend();
  futures.push_back(SubmitAsync({Label(1), Label(2)}));
  EXPECT_EQ(Error({{std::string(900, 'x'), 1}}).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Error({{"ticket", std::string(900, 'x')}}).code(), absl::StatusCode::kResourceExhausted);
  store_.Release();
  for (auto& future : futures) EXPECT_TRUE(future.get().ok());
}

TEST_F(FeedbackIngestorTest, TooMuchForOneCallIsTheCallersMistake) {
  options_.max_queued_labels = 2;
  Start();
  EXPECT_THAT(Error({Label(1), Label(2), Label(3)}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at most 2 labels")));
  EXPECT_THAT(Error({Label(1)}, std::string(65, 's')),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at most 64 bytes; has 65")));
}

TEST_F(FeedbackIngestorTest, AStoreThatIsDownIsUnavailableAndRecovers) {
  EXPECT_THAT(SubmitOne(Label(1)), Is(Outcome::kAccepted, Reason::kNone));
  memory_.FailWith(absl::UnavailableError("feedback store: no space left"));
  for (int i = 0; i < 3; ++i) {
    const absl::Status down = Error({Label(2), Label(3)});
    EXPECT_THAT(down, StatusIs(absl::StatusCode::kUnavailable,
                               AllOf(HasSubstr("feedback store: no space left"),
                                     HasSubstr("nothing was acknowledged, send it again"))));
    EXPECT_EQ(ErrorReason(down), "FEEDBACK_STORE_UNAVAILABLE");
    EXPECT_NE(ErrorRetryAfter(down), std::nullopt);
  }
  memory_.FailWith(absl::OkStatus());
  EXPECT_THAT(Submit({Label(2), Label(3)}), Each(Is(Outcome::kAccepted, Reason::kNone)));
  EXPECT_EQ(ingestor_->counters().accepted, 3);
  EXPECT_EQ(ingestor_->counters().commit.count(), 5) << "those that failed too";
  EXPECT_EQ(ingestor_->counters().label_delay.count(), 3);
  EXPECT_EQ(Rows(), 3);
}

TEST_F(FeedbackIngestorTest, DestructionCompletesWhatIsQueued) {
  store_.Hold();
  std::vector<std::future<Results>> futures;
  for (int i = 0; i < 10; ++i) futures.push_back(SubmitAsync({Label(i)}));
  std::thread destroyer([&] { ingestor_.reset(); });
  store_.AwaitAppend();
  store_.Release();
  destroyer.join();
  for (auto& future : futures) EXPECT_TRUE(future.get().ok());
  EXPECT_EQ(Rows(), 10);
}

TEST_F(FeedbackIngestorTest, DestructionCompletesWhatIsToBeChecked) {
  std::vector<std::future<Results>> futures;
  for (int i = 0; i < 10; ++i) futures.push_back(SubmitAsync({Label(i, "held")}));
  std::thread destroyer([&] { ingestor_.reset(); });
  absl::SleepFor(absl::Milliseconds(20));
  let_go_.count_down();
  destroyer.join();
  for (auto& future : futures) EXPECT_TRUE(future.get().ok());
  EXPECT_EQ(Rows(), 10);
}

TEST_F(FeedbackIngestorTest, DestructionDoesNotWaitForAStoreThatIsDown) {
  options_.max_commit_labels = 1;
  options_.max_backoff = absl::Minutes(1);
  Start();
  memory_.FailWith(absl::UnavailableError("feedback store: down"));
  std::vector<std::future<Results>> futures;
  for (int i = 0; i < 50; ++i) futures.push_back(SubmitAsync({Label(i)}));
  const absl::Time start = absl::Now();
  ingestor_.reset();
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
  for (auto& future : futures) EXPECT_EQ(future.get().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(FeedbackIngestorTest, BadOptionsAreNamed) {
  const auto error = [&](FeedbackOptions options) {
    return FeedbackIngestor::Create(options, *sealer_, store_, clock_, nullptr, nullptr).status();
  };
  EXPECT_THAT(error({.max_queued_labels = 0}), StatusIs(absl::StatusCode::kInvalidArgument,
                                                        HasSubstr("max_queued_labels must be >= 1; was 0")));
  EXPECT_THAT(
      error({.max_commit_labels = -3}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("max_commit_labels must be >= 1; was -3")));
}

// 8 threads send overlapping ids, each a hundred times, over a real store; one of them conflicts.
TEST_F(FeedbackIngestorTest, ManyThreadsCountEachPredictionOnce) {
  constexpr int kThreads = 8, kIds = 200;
  const std::unique_ptr<Store> store = *OpenStore({.data_dir = directory_.path()});
  ingestor_ =
      *FeedbackIngestor::Create(options_, *sealer_, *store, clock_, nullptr, [this] { ++commits_seen_; });
  std::vector<std::string> tickets;
  for (int i = 0; i < kIds; ++i) tickets.push_back(sealer_->Seal(MakePrediction(i)));
  std::atomic<int> accepted = 0, duplicate = 0, conflict = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kIds; i += 4) {
        std::vector<Feedback> items;
        for (int j = 0; j < 4; ++j) items.push_back({tickets[(i + j + 25 * t) % kIds], t == 0 ? 2 : 1});
        for (const FeedbackResult& result : Submit(std::move(items))) {
          accepted += result.outcome == Outcome::kAccepted;
          duplicate += result.outcome == Outcome::kDuplicate;
          conflict += result.reason == Reason::kLabelConflict;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(accepted, kIds);
  EXPECT_EQ(accepted + duplicate + conflict, kThreads * kIds);
  const FeedbackIngestor::Counters counters = ingestor_->counters();
  EXPECT_EQ(counters.accepted, kIds);
  EXPECT_EQ(counters.duplicate, duplicate);
  EXPECT_EQ(counters.label_conflict, conflict);
  ingestor_.reset();
  EXPECT_EQ(store->Head()->next_position, kIds + 1);
}

}  // namespace
}  // namespace calserve
