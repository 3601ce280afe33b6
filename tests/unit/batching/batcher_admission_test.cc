// Which tasks are let in, in which order they run, and which leave without having run.
#include <memory>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "tests/unit/batching/batcher_fixture.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(BatcherTest, AnExpiredTaskIsAnsweredInTimeAndNeverReachesTheModel) {
  Start();
  auto running = OccupyAnInstance();
  auto late = Submit(1, 0, {.deadline_in = absl::Seconds(20)});
  clock_.Advance(absl::Seconds(19));
  EXPECT_EQ(late->times(), 0);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(CodeOf(late), absl::StatusCode::kDeadlineExceeded);  // While the only instance is busy.
  model_->FinishAll();
  EXPECT_TRUE(running->Await().ok());
  EXPECT_TRUE(Submit(1)->Await().ok());
  EXPECT_THAT(model_->batch_sizes(), ElementsAre(1, 1));
  EXPECT_EQ(batcher_->counters().expired, 1);
}

TEST_F(BatcherTest, AnExpiredTaskFreesItsPlaceWithinTheRunningBatch) {
  Start();
  OccupyAnInstance();
  auto late = Submit(4, 0, {.deadline_in = absl::Seconds(20)});
  Submit(4);
  EXPECT_EQ(CodeOf(Submit(1)), absl::StatusCode::kResourceExhausted);
  clock_.Advance(absl::Seconds(20));
  EXPECT_EQ(CodeOf(late), absl::StatusCode::kDeadlineExceeded);
  auto admitted = Submit(4);
  model_->FinishAll();
  EXPECT_TRUE(admitted->Await().ok());
}

TEST_F(BatcherTest, ASoonerDeadlineWakesTheSweeper) {
  Start();
  OccupyAnInstance();
  Submit(1, 0, {.deadline_in = absl::Hours(1)});
  const auto sooner = Submit(1, 0, {.deadline_in = absl::Seconds(10)});
  clock_.Advance(absl::Seconds(10));
  EXPECT_EQ(CodeOf(sooner), absl::StatusCode::kDeadlineExceeded);
  model_->FinishAll();
}

TEST_F(BatcherTest, ADeadlineThatHasPassedIsRefusedAtOnce) {
  Start();
  auto late = Submit(1, 0, {.deadline_in = -absl::Milliseconds(1)});
  EXPECT_EQ(late->times(), 1);
  EXPECT_EQ(CodeOf(late), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(BatcherTest, ADeadlineFarInTheFutureIsNone) {
  Start();
  model_->FinishAll();
  EXPECT_TRUE(Submit(1, 0, {.deadline_in = absl::Hours(24 * 365 * 200)})->Await().ok());
}

TEST_F(BatcherTest, ACancelledTaskFreesItsPlaceAndNeverReachesTheModel) {
  Start();
  OccupyAnInstance();
  auto cancel = std::make_shared<CancelFlag>();
  auto cancelled = Submit(4, 0, {.cancel = cancel});
  cancel->Cancel();
  clock_.Advance(absl::Milliseconds(10));  // Nobody signals it: it is looked for.
  EXPECT_EQ(CodeOf(cancelled), absl::StatusCode::kCancelled);
  EXPECT_EQ(batcher_->counters().queued_rows, 0);
  EXPECT_EQ(batcher_->counters().cancelled, 1);
  model_->FinishAll();
  EXPECT_TRUE(Submit(2)->Await().ok());
  EXPECT_THAT(model_->batch_sizes(), ElementsAre(1, 2));
}

TEST_F(BatcherTest, RefusesADeadlineThatTheQueueAheadCannotMeet) {
  Start();
  MeasureABatch(absl::Seconds(50));
  OccupyAnInstance();
  Submit(4);
  auto hopeless = Submit(1, 0, {.deadline_in = absl::Seconds(90)});
  EXPECT_EQ(hopeless->times(), 1);
  const absl::Status status = hopeless->Await().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(status), "DEADLINE_UNREACHABLE");
  EXPECT_EQ(*ErrorRetryAfter(status), absl::Seconds(100));
  auto hopeful = Submit(1, 0, {.deadline_in = absl::Seconds(160)});
  model_->FinishAll();
  EXPECT_TRUE(hopeful->Await().ok());
}

TEST_F(BatcherTest, ABatchThatFailedSaysNothingOfHowLongOneTakes) {
  Start();
  MeasureABatch(absl::Seconds(50));
  for (int i = 1; i <= 20; ++i) {
    model_->FailStart(i, absl::InternalError("an index is out of range"));
    EXPECT_EQ(CodeOf(Submit(1)), absl::StatusCode::kInternal);
  }
  OccupyAnInstance();
  const auto hopeless = Submit(1, 0, {.deadline_in = absl::Seconds(40)});
  EXPECT_EQ(hopeless->times(), 1);
  model_->FinishAll();
  EXPECT_EQ(ErrorReason(hopeless->Await().status()), "DEADLINE_UNREACHABLE");
}

TEST_F(BatcherTest, ATightDeadlineIsNotRefusedWhenNothingIsQueued) {
  Start();
  auto measured = OccupyAnInstance();
  clock_.Advance(absl::Seconds(500));
  model_->FinishAll();
  ASSERT_TRUE(measured->Await().ok());
  EXPECT_TRUE(Submit(1, 0, {.deadline_in = absl::Seconds(400)})->Await().ok());
}

TEST_F(BatcherTest, AnUrgentTaskOvertakesThoseThatWait) {
  options_.max_batch_size = 1;
  options_.priority_levels = 2;
  options_.default_priority = 2;
  Start();
  OccupyAnInstance();
  auto ordinary = Submit(1, 10);
  auto urgent = Submit(1, 20, {.priority = 1});
  model_->FinishOne();  // What occupied the instance.
  model_->FinishOne();
  EXPECT_TRUE(urgent->Await().ok());
  EXPECT_EQ(ordinary->times(), 0);
  model_->FinishAll();
  EXPECT_TRUE(ordinary->Await().ok());
}

TEST_F(BatcherTest, RefusesAPriorityThatTheModelDoesNotHave) {
  options_.priority_levels = 2;
  Start();
  for (const int priority : {-1, 3}) {
    const absl::Status status = Submit(1, 0, {.priority = priority})->Await().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr("priority must be 1 (the most urgent) to 2"));
  }
}

TEST_F(BatcherTest, ATaskLeavesTheQueueAtItsTimeoutWhileEveryInstanceIsBusy) {
  options_.queue_timeout = absl::Milliseconds(20);
  Start();
  OccupyAnInstance();
  const auto queued = Submit(1);
  clock_.Advance(absl::Milliseconds(19));
  EXPECT_EQ(queued->times(), 0);
  clock_.Advance(absl::Milliseconds(1));
  const absl::Status status = queued->Await().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(status), "QUEUE_TIMEOUT");
  EXPECT_EQ(batcher_->counters().queued_rows, 0);
  model_->FinishAll();
}

TEST_F(BatcherTest, RefusesAtOnceWhatWouldOutwaitTheQueueTimeout) {
  options_.queue_timeout = absl::Milliseconds(40);
  Start();
  MeasureABatch(absl::Seconds(50));
  OccupyAnInstance();
  Submit(4);
  auto too_late = Submit(1);
  EXPECT_EQ(too_late->times(), 1);
  EXPECT_EQ(ErrorReason(too_late->Await().status()), "QUEUE_TIMEOUT");
  model_->FinishAll();
}

TEST_F(BatcherTest, TheQueueTimeoutCountsFromReceipt) {
  options_.queue_timeout = absl::Milliseconds(20);
  Start();
  OccupyAnInstance();
  const auto queued = Submit(1, 0, {.waited = absl::Milliseconds(15)});
  const auto too_late = Submit(1, 0, {.waited = absl::Milliseconds(20)});
  EXPECT_EQ(too_late->times(), 1);
  EXPECT_EQ(ErrorReason(too_late->Await().status()), "QUEUE_TIMEOUT");
  clock_.Advance(absl::Milliseconds(4));
  EXPECT_EQ(queued->times(), 0);
  clock_.Advance(absl::Milliseconds(1));
  const absl::Status status = queued->Await().status();
  EXPECT_EQ(ErrorReason(status), "QUEUE_TIMEOUT");
  EXPECT_THAT(status.message(), HasSubstr("queued for 20ms"));
  model_->FinishAll();
}

TEST_F(BatcherTest, AShortBatchDoesNotWaitAQueueTimeoutAway) {
  options_.queue_timeout = absl::Milliseconds(100);
  options_.max_queue_delay = absl::Milliseconds(50);
  Start();
  auto measured = Submit(4);
  model_->AwaitBatches(1);
  clock_.Advance(absl::Milliseconds(10));
  model_->FinishAll();
  ASSERT_TRUE(measured->Await().ok());
  const auto alone = Submit(1, 0, {.waited = absl::Milliseconds(80)});
  clock_.Advance(absl::Milliseconds(10));
  EXPECT_EQ(alone->Await()->queued, absl::Milliseconds(10));
}

TEST_F(BatcherTest, SaysBeforeWhetherATaskThatComesLaterCouldBeDoneInTime) {
  options_.queue_timeout = absl::Seconds(500);
  Start();
  const auto check = [this](absl::Duration arrives_in, absl::Duration deadline_in, absl::Duration waited) {
    BatchTask task;
    task.rows = 1;
    task.deadline = absl::Now() + deadline_in;
    task.waited = waited;
    return ErrorReason(batcher_->CheckAdmission(std::move(task), {arrives_in, arrives_in}));
  };
  const absl::Duration none, s = absl::Seconds(1);
  EXPECT_EQ(check(20 * s, 30 * s, none), "") << "nothing is measured";
  EXPECT_EQ(check(31 * s, 30 * s, none), "DEADLINE_UNREACHABLE");
  MeasureABatch(50 * s);
  EXPECT_EQ(check(none, 30 * s, none), "") << "it would begin at once";
  EXPECT_EQ(check(10 * s, 55 * s, none), "DEADLINE_UNREACHABLE");
  EXPECT_EQ(check(10 * s, 65 * s, none), "");
  OccupyAnInstance();
  EXPECT_EQ(check(none, 95 * s, none), "DEADLINE_UNREACHABLE");
  EXPECT_EQ(check(10 * s, 105 * s, none), "") << "while it is decoded the batch runs";
  EXPECT_EQ(check(60 * s, 105 * s, none), "DEADLINE_UNREACHABLE");
  EXPECT_EQ(check(10 * s, 105 * s, 440 * s), "");
  EXPECT_EQ(check(10 * s, 105 * s, 460 * s), "QUEUE_TIMEOUT");
  EXPECT_EQ(batcher_->counters().refused, 5);
  model_->FinishAll();
}

TEST_F(BatcherTest, SaysBeforeWhetherATaskThatComesLaterWouldHaveRoom) {
  Start();
  MeasureABatch(absl::Seconds(50));
  OccupyAnInstance();
  Submit(4);
  Submit(4);  // 8 rows, as many as may wait.
  const auto check = [this](int rows, absl::Duration arrives_in) {
    const absl::Status status = batcher_->CheckAdmission({.rows = rows}, {absl::ZeroDuration(), arrives_in});
    EXPECT_EQ(ErrorRetryAfter(status).has_value(), !status.ok());
    return ErrorReason(status);
  };
  EXPECT_EQ(check(1, absl::ZeroDuration()), "QUEUE_FULL");
  EXPECT_EQ(check(1, absl::Seconds(49)), "QUEUE_FULL");
  EXPECT_EQ(check(4, absl::Seconds(51)), "") << "four are in the next batch by then";
  EXPECT_EQ(batcher_->counters().refused, 2);
  model_->FinishAll();
}

TEST_F(BatcherTest, TheBatchThatRunsCountsForTheQueueTimeout) {
  options_.queue_timeout = absl::Milliseconds(40);
  Start();
  MeasureABatch(absl::Milliseconds(50));
  OccupyAnInstance();
  auto too_early = Submit(1);
  EXPECT_EQ(too_early->times(), 1);
  EXPECT_EQ(ErrorReason(too_early->Await().status()), "QUEUE_TIMEOUT");
  EXPECT_EQ(*ErrorRetryAfter(too_early->Await().status()), absl::Milliseconds(50));
  clock_.Advance(absl::Milliseconds(10));
  auto in_time = Submit(1);
  model_->FinishAll();
  EXPECT_TRUE(in_time->Await().ok());
}

TEST_F(BatcherTest, ABatchThatTakesLongerThanExpectedIsNoReasonToRefuse) {
  options_.queue_timeout = absl::Milliseconds(40);
  Start();
  MeasureABatch(absl::Milliseconds(30));
  OccupyAnInstance();
  clock_.Advance(absl::Milliseconds(300));
  auto queued = Submit(1, 0, {.deadline_in = absl::Milliseconds(31)});
  model_->FinishAll();
  EXPECT_TRUE(queued->Await().ok());
}

TEST_F(BatcherTest, AnUnsteadyModelRefusesEarlierForTheQueueTimeout) {
  options_.queue_timeout = absl::Milliseconds(40);
  Start();
  for (const int milliseconds : {20, 40}) {  // 24 ms expected, off by a fifth of 100 %
    auto measured = OccupyAnInstance();
    clock_.Advance(absl::Milliseconds(milliseconds));
    model_->FinishOne();
    ASSERT_TRUE(measured->Await().ok());
  }
  OccupyAnInstance();
  Submit(4);              // 24 ms to wait, 24 * (1 + 2 * 0.2) = 33.6
  auto next = Submit(1);  // 48 ms
  EXPECT_EQ(ErrorReason(next->Await().status()), "QUEUE_TIMEOUT");
  model_->FinishAll();
}

}  // namespace
}  // namespace calserve
