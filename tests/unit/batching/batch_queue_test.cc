#include "server/batching/batch_queue.h"

#include <memory>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr absl::Duration kPoll = absl::Milliseconds(10);
constexpr absl::Duration kRunTime = absl::Milliseconds(20);

class BatchQueueTest : public ::testing::Test {
 protected:
  BatchQueueTest() : queue_(Options()) {}

  static BatchingOptions Options() {
    BatchingOptions options;
    options.max_batch_size = 4;
    options.max_queue_rows = 8;
    options.max_queue_bytes = 40;  // 10 floats
    return options;
  }

  static BatchTask Task(int rows, int floats = 1) {
    BatchTask task;
    task.rows = rows;
    static const std::vector<float> values(10);
    task.input = {BytesOf(absl::MakeConstSpan(values).first(floats))};
    return task;
  }

  // With one instance, which is idle.
  int Put(QueuedTask task) {
    WaitTable waits({absl::ZeroDuration()}, {.run = kRunTime});
    const QueuePlace place = queue_.FindPlace(task.task, now_, waits);
    queue_.Push(std::move(task), place);
    return place.rows_ahead;
  }
  void Push(int rows, absl::Time deadline = absl::InfiniteFuture(),
            std::shared_ptr<const CancelFlag> cancel = nullptr) {
    BatchTask task = Task(rows);
    task.cancel = std::move(cancel);
    Put({std::move(task), now_, deadline});
  }

  // Of each dropped task, its rows and why.
  std::vector<std::pair<int, absl::StatusCode>> Dropped() const {
    std::vector<std::pair<int, absl::StatusCode>> dropped;
    for (const DroppedTask& drop : dropped_) dropped.emplace_back(drop.task.rows, drop.why.code());
    return dropped;
  }

  std::vector<int> CandidateRows() {
    std::vector<int> rows;
    for (const BatchCandidate& candidate : queue_.Candidates(now_, &dropped_)) rows.push_back(candidate.rows);
    return rows;
  }

  absl::Time now_ = absl::FromUnixSeconds(100);
  BatchQueue queue_;
  std::vector<DroppedTask> dropped_;
};

TEST_F(BatchQueueTest, IsBoundedInRows) {
  Push(4);
  Push(3);
  EXPECT_TRUE(queue_.CheckRoom(Task(1)).ok());
  const absl::Status full = queue_.CheckRoom(Task(2));
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(full.message(), HasSubstr("7 of at most 8 rows and this request has 2"));
  EXPECT_EQ(ErrorReason(full), "QUEUE_FULL");
}

TEST_F(BatchQueueTest, IsBoundedInBytes) {
  Put({Task(1, 9), now_, absl::InfiniteFuture()});
  EXPECT_TRUE(queue_.CheckRoom(Task(1, 1)).ok());
  EXPECT_THAT(queue_.CheckRoom(Task(1, 2)).message(),
              HasSubstr("36 of at most 40 bytes and this request has 8"));
}

TEST_F(BatchQueueTest, WhatComesLaterHasTheRoomOfThoseThatAreGone) {
  Put({Task(4, 1), now_, absl::InfiniteFuture()});
  Put({Task(3, 1), now_, absl::InfiniteFuture()});  // 28 of 40 bytes
  EXPECT_TRUE(queue_.CheckRoomLater(1, 1, /*rows_gone=*/0).ok());
  EXPECT_THAT(queue_.CheckRoomLater(2, 1, /*rows_gone=*/0).message(),
              HasSubstr("7 of at most 8 rows and this request has 2"));
  EXPECT_TRUE(queue_.CheckRoomLater(2, 1, /*rows_gone=*/1).ok());
  EXPECT_TRUE(queue_.CheckRoomLater(8, 1, /*rows_gone=*/9).ok());
}

TEST_F(BatchQueueTest, WhatComesLaterCountsAsManyBytesARowAsThoseThatWait) {
  Put({Task(1, 4), now_, absl::InfiniteFuture()});
  Put({Task(1, 4), now_, absl::InfiniteFuture()});  // 32 of 40 bytes
  EXPECT_THAT(queue_.CheckRoomLater(1, 1, /*rows_gone=*/0).message(),
              HasSubstr("32 of at most 40 bytes and this request has 16"));
  EXPECT_TRUE(queue_.CheckRoomLater(1, 1, /*rows_gone=*/1).ok());
}

TEST_F(BatchQueueTest, TakingMakesRoom) {
  Push(4);
  Push(4);
  EXPECT_EQ(queue_.TakeFirst(1).size(), 1);
  EXPECT_EQ(queue_.rows(), 4);
  EXPECT_TRUE(queue_.CheckRoom(Task(4)).ok());
}

TEST_F(BatchQueueTest, CandidatesEndWhereABatchIsFull) {
  Push(3);
  Push(3);
  Push(1);
  EXPECT_THAT(CandidateRows(), ElementsAre(3, 3));
}

TEST_F(BatchQueueTest, CandidatesSayHowLongTheyWaitedAndWhatIsLeft) {
  Push(1, now_ + absl::Seconds(5));
  now_ += absl::Seconds(2);
  const std::vector<BatchCandidate> candidates = queue_.Candidates(now_, &dropped_);
  ASSERT_EQ(candidates.size(), 1);
  EXPECT_EQ(candidates[0].waited, absl::Seconds(2));
  EXPECT_EQ(candidates[0].slack, absl::Seconds(3));
}

TEST_F(BatchQueueTest, ExpiredAndCancelledTasksAreNoCandidates) {
  auto cancel = std::make_shared<CancelFlag>();
  Push(1, now_);
  Push(2);
  Push(3, absl::InfiniteFuture(), cancel);
  Push(4);
  cancel->Cancel();
  EXPECT_THAT(CandidateRows(), ElementsAre(2, 4));
  EXPECT_THAT(Dropped(), ElementsAre(std::pair(1, absl::StatusCode::kDeadlineExceeded),
                                     std::pair(3, absl::StatusCode::kCancelled)));
  EXPECT_EQ(queue_.rows(), 6);
}

TEST_F(BatchQueueTest, WhatIsDroppedFromTheMiddleLeavesTheOrder) {
  for (int rows : {4, 4, 1}) Push(rows);  // The first fills a batch; the others are not looked at.
  EXPECT_THAT(CandidateRows(), ElementsAre(4));
  Push(2, now_ - absl::Seconds(1));
  Push(3);
  queue_.Sweep(now_, kPoll, &dropped_);
  std::vector<int> left;
  for (const QueuedTask& queued : queue_.TakeFirst(queue_.tasks())) left.push_back(queued.task.rows);
  EXPECT_THAT(left, ElementsAre(4, 4, 1, 3));
  EXPECT_TRUE(queue_.empty());
  EXPECT_EQ(queue_.rows(), 0);
}

TEST_F(BatchQueueTest, SweepsBeyondTheNextBatch) {
  Push(4);
  Push(1, now_);
  EXPECT_THAT(CandidateRows(), ElementsAre(4));
  EXPECT_THAT(Dropped(), IsEmpty());
  queue_.Sweep(now_, kPoll, &dropped_);
  EXPECT_THAT(Dropped(), ElementsAre(std::pair(1, absl::StatusCode::kDeadlineExceeded)));
}

TEST_F(BatchQueueTest, SweepsNextAtTheEarliestDeadline) {
  EXPECT_EQ(queue_.Sweep(now_, kPoll, &dropped_), absl::InfiniteFuture());
  Push(1);
  EXPECT_EQ(queue_.Sweep(now_, kPoll, &dropped_), absl::InfiniteFuture());
  Push(1, now_ + absl::Seconds(2));
  Push(1, now_ + absl::Seconds(1));
  EXPECT_EQ(queue_.Sweep(now_, kPoll, &dropped_), now_ + absl::Seconds(1));
}

TEST_F(BatchQueueTest, PollsWhileATaskCanBeCancelled) {
  Push(1, now_ + absl::Seconds(1), std::make_shared<CancelFlag>());
  EXPECT_EQ(queue_.Sweep(now_, kPoll, &dropped_), now_ + kPoll);
}

class PriorityQueueTest : public BatchQueueTest {
 protected:
  PriorityQueueTest() {
    BatchingOptions options = Options();
    options.max_batch_size = 2;
    options.priority_levels = 3;
    queue_ = BatchQueue(options);
  }

  int PushAt(int priority, int rows, absl::Time deadline = absl::InfiniteFuture()) {
    BatchTask task = Task(rows);
    task.priority = priority;
    return Put({std::move(task), now_, deadline});
  }

  // The rows of all tasks, in the order in which they would run.
  std::vector<int> Order() {
    std::vector<int> rows;
    for (const QueuedTask& queued : queue_.TakeFirst(queue_.tasks())) rows.push_back(queued.task.rows);
    return rows;
  }
};

TEST_F(PriorityQueueTest, RunsByLevelThenByArrival) {
  PushAt(3, 1);
  PushAt(1, 2);
  PushAt(2, 3);
  PushAt(1, 4);
  PushAt(3, 5);
  EXPECT_THAT(Order(), ElementsAre(2, 4, 3, 1, 5));
}

TEST_F(PriorityQueueTest, WhatCannotWaitIsNotOvertaken) {
  PushAt(2, 1, now_ + absl::Seconds(10));
  PushAt(2, 2, now_ + 3 * kRunTime);
  PushAt(2, 3, now_ + absl::Seconds(10));
  PushAt(1, 4);
  EXPECT_THAT(Order(), ElementsAre(2, 4, 1, 3));
}

TEST_F(PriorityQueueTest, ItIsOvertakenWhileItCanWaitAndNoLonger) {
  PushAt(3, 1, now_ + 5 * kRunTime);
  for (const int rows : {2, 2, 2}) PushAt(1, rows);
  EXPECT_THAT(Order(), ElementsAre(2, 2, 1, 2));
}

TEST_F(PriorityQueueTest, WhatStaysBeforeDelaysWhatWasBeforeIt) {
  PushAt(3, 1, now_ + 5 * kRunTime);  // Could wait for the last, but not for the two after it as well.
  PushAt(3, 2, now_ + 4 * kRunTime);
  PushAt(3, 2, now_ + 4 * kRunTime);
  PushAt(1, 2);
  EXPECT_THAT(Order(), ElementsAre(1, 2, 2, 2));
}

TEST_F(PriorityQueueTest, TheQueueTimeoutCannotWaitEither) {
  BatchTask task = Task(1);
  task.priority = 2;
  Put({std::move(task), now_, absl::InfiniteFuture(), now_ + 2 * kRunTime});
  PushAt(1, 2);
  EXPECT_THAT(Order(), ElementsAre(1, 2));
}

TEST_F(PriorityQueueTest, AShortDeadlineIsNoWayPastTheMostUrgent) {
  PushAt(1, 1);
  PushAt(2, 2, now_ + 2 * kRunTime);
  EXPECT_THAT(Order(), ElementsAre(1, 2));
}

TEST_F(PriorityQueueTest, CountsTheRowsAheadOfANewTask) {
  EXPECT_EQ(PushAt(1, 1), 0);
  EXPECT_EQ(PushAt(2, 2), 1);
  EXPECT_EQ(PushAt(3, 4, now_ + kRunTime), 3);
  EXPECT_EQ(PushAt(1, 1), 5) << "the last of level 3 cannot wait";
  EXPECT_EQ(PushAt(2, 1), 8);
}

TEST_F(PriorityQueueTest, LowerLevelsLeaveAQuarterOfTheQueue) {
  PushAt(2, 5);
  BatchTask task = Task(2);
  task.priority = 2;
  const absl::Status full = queue_.CheckRoom(task);
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(full), "QUEUE_FULL");
  EXPECT_THAT(full.message(),
              HasSubstr("5 of at most 8 rows, of which priority 2 may use 6, and this request has 2"));
  task.priority = 1;
  EXPECT_TRUE(queue_.CheckRoom(task).ok());
}

TEST_F(PriorityQueueTest, LowerLevelsLeaveAQuarterOfTheBytes) {
  PushAt(2, 1);
  BatchTask task = Task(1, 7);
  task.priority = 2;
  EXPECT_THAT(queue_.CheckRoom(task).message(),
              HasSubstr("4 of at most 40 bytes, of which priority 2 may use 30, and this request has 28"));
  task.priority = 1;
  EXPECT_TRUE(queue_.CheckRoom(task).ok());
}

TEST_F(PriorityQueueTest, TheLargestRequestFitsAnEmptyQueueAtEveryLevel) {
  BatchTask task = Task(8, 10);
  task.priority = 3;
  EXPECT_TRUE(queue_.CheckRoom(task).ok());
}

TEST_F(BatchQueueTest, ATaskLeavesAfterTheQueueTimeout) {
  Put({Task(1), now_, absl::InfiniteFuture(), now_ + absl::Seconds(2)});
  EXPECT_EQ(queue_.Sweep(now_, kPoll, &dropped_), now_ + absl::Seconds(2));
  now_ += absl::Seconds(2);
  queue_.Sweep(now_, kPoll, &dropped_);
  ASSERT_EQ(dropped_.size(), 1);
  EXPECT_EQ(dropped_[0].why.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(dropped_[0].why), "QUEUE_TIMEOUT");
  EXPECT_THAT(dropped_[0].why.message(), HasSubstr("queued for 2s"));
}

}  // namespace
}  // namespace calserve
