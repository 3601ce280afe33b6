// What the batcher counts as requests that the cores of this machine compute, or that wait for them
// (OnCores).
#include <memory>
#include <utility>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "server/base/on_cores.h"
#include "tests/unit/batching/batcher_fixture.h"

namespace calserve {
namespace {

class RequestsOnCoresTest : public BatcherTest {
 protected:
  RequestsOnCoresTest() { EXPECT_TRUE(None()); }
  ~RequestsOnCoresTest() override {
    batcher_.reset();
    EXPECT_TRUE(None());
  }

  // Whether none is counted: one that is would make several of another.
  static bool None() {
    const OnCores another(true);
    return !OnCores::Several();
  }
};

TEST_F(RequestsOnCoresTest, ALoneOneIsNotSeveral) {
  Start();
  const std::shared_ptr<Answer> lone = OccupyAnInstance();
  EXPECT_FALSE(OnCores::Several());
  model_->FinishOne();
  EXPECT_TRUE(lone->Await().ok());
}

TEST_F(RequestsOnCoresTest, OnesThatWaitAndThatAreComputedCountUntilTheirAnswers) {
  Start();
  const std::shared_ptr<Answer> computed = OccupyAnInstance();
  const std::shared_ptr<Answer> waits = Submit(1);
  EXPECT_TRUE(OnCores::Several());
  model_->FinishOne();
  EXPECT_TRUE(computed->Await().ok());
  EXPECT_FALSE(OnCores::Several());
  model_->FinishOne();
  EXPECT_TRUE(waits->Await().ok());
}

TEST_F(RequestsOnCoresTest, AnAnswerFindsItsBatchCountedNoMore) {
  Start();
  const std::shared_ptr<Answer> occupying = OccupyAnInstance();
  bool none = false;
  BatchTask task;
  task.rows = 1;
  task.input = {kZeroRow};
  task.done = [&none](const absl::StatusOr<BatchResult>&) { none = None(); };
  batcher_->Schedule(std::move(task));
  const std::shared_ptr<Answer> same_batch = Submit(1);
  EXPECT_TRUE(OnCores::Several());
  model_->FinishOne();
  model_->FinishOne();
  EXPECT_TRUE(same_batch->Await().ok());
  EXPECT_TRUE(none);
  EXPECT_TRUE(occupying->Await().ok());
}

TEST_F(RequestsOnCoresTest, WhatLeavesTheQueueUnrunCountsNoMore) {
  Start();
  const std::shared_ptr<Answer> computed = OccupyAnInstance();
  const auto cancel = std::make_shared<CancelFlag>();
  const std::shared_ptr<Answer> late = Submit(1, 0, {.deadline_in = absl::Hours(1)});
  const std::shared_ptr<Answer> given_up = Submit(1, 0, {.cancel = cancel});
  EXPECT_TRUE(OnCores::Several());
  cancel->Cancel();
  clock_.Advance(absl::Hours(2));
  EXPECT_EQ(CodeOf(late), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(CodeOf(given_up), absl::StatusCode::kCancelled);
  EXPECT_FALSE(OnCores::Several());
  model_->FinishOne();
  EXPECT_TRUE(computed->Await().ok());
}

TEST_F(RequestsOnCoresTest, WhatIsRefusedWasNeverCounted) {
  options_.max_queue_rows = 4;
  Start();
  const std::shared_ptr<Answer> computed = OccupyAnInstance();
  EXPECT_EQ(CodeOf(Submit(5)), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(OnCores::Several());
  model_->FinishOne();
  EXPECT_TRUE(computed->Await().ok());
}

TEST_F(RequestsOnCoresTest, StopLeavesNone) {
  Start();
  const std::shared_ptr<Answer> computed = OccupyAnInstance();
  const std::shared_ptr<Answer> waits = Submit(1);
  EXPECT_TRUE(OnCores::Several());
  model_->FinishAll();
  batcher_.reset();
  EXPECT_EQ(computed->times(), 1);
  EXPECT_EQ(waits->times(), 1);
  EXPECT_TRUE(None());
}

TEST_F(RequestsOnCoresTest, WhatADeviceComputesIsNotCounted) {
  on_device_ = true;
  Start();
  const std::shared_ptr<Answer> computed = OccupyAnInstance();
  const std::shared_ptr<Answer> waits = Submit(1);
  EXPECT_FALSE(OnCores::Several());
  model_->FinishAll();
  EXPECT_TRUE(computed->Await().ok());
  EXPECT_TRUE(waits->Await().ok());
}

}  // namespace
}  // namespace calserve
