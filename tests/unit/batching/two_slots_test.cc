// An instance that has two batches under way.
#include <memory>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/batching/device_turns.h"
#include "tests/unit/batching/batcher_fixture.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;

// An instance with two slots, whose first batch is about to start: what is queued then decides what it does
// next.
class TwoSlotsTest : public BatcherTest {
 protected:
  void SetUp() override {
    options_.max_queue_rows = 16;
    model_ = std::make_unique<PuppetModel>(1, options_.max_batch_size, /*slots=*/2);
    BatchRunner runner = model_->Runner();
    runner.start = [this, start = runner.start](int instance, int slot, int rows) {
      MutexLock lock(&mu_);
      starting_ = true;
      changed_.SignalAll();
      while (!let_start_) changed_.Wait(&mu_);
      return start(instance, slot, rows);
    };
    runner.turns = turns_;
    batcher_ = *Batcher::Create(options_, std::move(runner), clock_);
    first_ = Submit(1, 100);
    MutexLock lock(&mu_);
    while (!starting_) changed_.Wait(&mu_);
  }
  void TearDown() override {
    LetStart();
    model_->FinishAll();
    batcher_.reset();
  }
  void LetStart() {
    MutexLock lock(&mu_);
    let_start_ = true;
    changed_.SignalAll();
  }

  std::shared_ptr<Answer> first_;
  std::shared_ptr<DeviceTurns> turns_;

 private:
  Mutex mu_;
  CondVar changed_;
  bool starting_ ABSL_GUARDED_BY(mu_) = false;
  bool let_start_ ABSL_GUARDED_BY(mu_) = false;
};

TEST_F(TwoSlotsTest, AFullBatchIsStartedWhileTheOneBeforeRuns) {
  const auto second = Submit(4, 200), third = Submit(3, 300);
  LetStart();
  model_->AwaitBatches(2);
  EXPECT_EQ(first_->times(), 0) << "the first has not been let finish";
  model_->FinishAll();
  EXPECT_THAT(first_->Await()->logits, ElementsAre(100, 100.5f));
  EXPECT_THAT(second->Await()->logits, ElementsAre(200, 200.5f, 201, 201.5f, 202, 202.5f, 203, 203.5f));
  EXPECT_THAT(third->Await()->logits, ElementsAre(300, 300.5f, 301, 301.5f, 302, 302.5f));
  EXPECT_THAT(model_->batch_sizes(), ElementsAre(1, 4, 3));
}

TEST_F(TwoSlotsTest, AShortBatchMayGrowUntilTheOneBeforeIsDone) {
  const auto second = Submit(2, 200);
  LetStart();
  model_->AwaitFinish();  // It has looked for a second batch and waits for the first.
  const auto third = Submit(2, 300);
  model_->FinishOne();
  model_->AwaitBatches(2);
  EXPECT_THAT(model_->batch_sizes(), ElementsAre(1, 4));
}

TEST_F(TwoSlotsTest, TheSecondBatchRunsFromWhenTheFirstIsDone) {
  const auto second = Submit(4, 200);
  LetStart();
  model_->AwaitBatches(2);
  clock_.Advance(absl::Seconds(3));
  EXPECT_EQ(batcher_->counters().longest_run, absl::Seconds(3));
  model_->FinishOne();
  EXPECT_TRUE(first_->Await().ok());
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(batcher_->counters().longest_run, absl::Seconds(1));
  model_->FinishAll();
  EXPECT_TRUE(second->Await().ok());
}

class TwoSlotsOneTurnTest : public TwoSlotsTest {
 protected:
  TwoSlotsOneTurnTest() { turns_ = std::make_shared<DeviceTurns>(1); }
};

TEST_F(TwoSlotsOneTurnTest, AFullBatchWaitsForTheOneBeforeWhereOnlyOneIsUnderWayAtOnce) {
  const auto second = Submit(4, 200);
  LetStart();
  model_->AwaitFinish();  // It has looked for a second batch and waits for the first.
  EXPECT_EQ(batcher_->counters().queued_rows, 4);
  model_->FinishAll();
  EXPECT_TRUE(second->Await().ok());
}

TEST_F(TwoSlotsTest, ABatchThatCannotBeStartedHarmsNoOther) {
  model_->FailStart(1, absl::InternalError("no memory"));
  const auto second = Submit(4, 200), third = Submit(4, 300);
  LetStart();
  model_->FinishAll();
  EXPECT_TRUE(first_->Await().ok());
  EXPECT_EQ(second->Await().status().message(), "no memory");
  EXPECT_THAT(third->Await()->logits, ElementsAre(300, 300.5f, 301, 301.5f, 302, 302.5f, 303, 303.5f));
  EXPECT_EQ(batcher_->counters().failed, 1);
}

TEST_F(TwoSlotsTest, StoppingFinishesWhatIsUnderWay) {
  const auto second = Submit(4, 200);
  LetStart();
  model_->AwaitBatches(2);
  model_->FinishAll();
  batcher_->Stop();
  EXPECT_TRUE(first_->Await().ok());
  EXPECT_TRUE(second->Await().ok());
}

}  // namespace
}  // namespace calserve
