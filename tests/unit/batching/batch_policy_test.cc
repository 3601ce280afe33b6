#include "server/batching/batch_policy.h"

#include <vector>

#include "gtest/gtest.h"

namespace calserve {
namespace {

constexpr absl::Duration kNever = absl::InfiniteDuration();
constexpr absl::Duration kUnmeasured = absl::ZeroDuration();

BatchingOptions UpTo(int max_batch_size, absl::Duration max_queue_delay = absl::ZeroDuration()) {
  BatchingOptions options;
  options.max_batch_size = max_batch_size;
  options.max_queue_delay = max_queue_delay;
  return options;
}

BatchCandidate Rows(int rows, absl::Duration waited = absl::ZeroDuration(), absl::Duration slack = kNever) {
  return {rows, waited, slack};
}

int Take(const BatchingOptions& options, const std::vector<BatchCandidate>& queue) {
  return DecideBatch(options, queue, kUnmeasured).take;
}

TEST(DecideBatchTest, AnEmptyQueueWaitsForATask) {
  const BatchDecision decision = DecideBatch(UpTo(8), {}, kUnmeasured);
  EXPECT_EQ(decision.take, 0);
  EXPECT_EQ(decision.wait, kNever);
}

TEST(DecideBatchTest, WithoutADelayALoneTaskGoesAtOnce) { EXPECT_EQ(Take(UpTo(8), {Rows(1)}), 1); }

TEST(DecideBatchTest, TakesWhatWaitsUpToTheMaximum) {
  EXPECT_EQ(Take(UpTo(4), {Rows(1), Rows(1), Rows(1)}), 3);
  EXPECT_EQ(Take(UpTo(4), {Rows(1), Rows(1), Rows(1), Rows(1), Rows(1)}), 4);
}

TEST(DecideBatchTest, KeepsARequestWhole) {
  EXPECT_EQ(Take(UpTo(4), {Rows(3), Rows(2)}), 1);
  EXPECT_EQ(Take(UpTo(4), {Rows(4), Rows(1)}), 1);
  EXPECT_EQ(Take(UpTo(4), {Rows(2), Rows(2), Rows(1)}), 2);
}

TEST(DecideBatchTest, NeverLetsALaterTaskOvertake) {
  EXPECT_EQ(Take(UpTo(4), {Rows(3), Rows(2), Rows(1)}), 1);
}

TEST(DecideBatchTest, AShortBatchWaitsForWhatIsLeftOfTheDelay) {
  const BatchDecision decision =
      DecideBatch(UpTo(8, absl::Milliseconds(5)), {Rows(1, absl::Milliseconds(2)), Rows(1)}, kUnmeasured);
  EXPECT_EQ(decision.take, 0);
  EXPECT_EQ(decision.wait, absl::Milliseconds(3));
}

TEST(DecideBatchTest, AShortBatchGoesWhenItsOldestTaskIsDue) {
  EXPECT_EQ(Take(UpTo(8, absl::Milliseconds(5)), {Rows(1, absl::Milliseconds(5)), Rows(1)}), 2);
}

TEST(DecideBatchTest, ABatchThatCannotGrowDoesNotWait) {
  EXPECT_EQ(Take(UpTo(4, absl::Seconds(1)), {Rows(4)}), 1);
  EXPECT_EQ(Take(UpTo(4, absl::Seconds(1)), {Rows(3), Rows(2)}), 1);
}

TEST(DecideBatchTest, DoesNotWaitADeadlineAway) {
  const BatchingOptions options = UpTo(8, absl::Seconds(1));
  const std::vector<BatchCandidate> queue = {Rows(1), Rows(1, absl::ZeroDuration(), absl::Milliseconds(50))};
  EXPECT_EQ(DecideBatch(options, queue, absl::Milliseconds(20)).wait, absl::Milliseconds(30));
  EXPECT_EQ(DecideBatch(options, queue, absl::Milliseconds(50)).take, 2);
}

absl::Duration Ms(int milliseconds) { return absl::Milliseconds(milliseconds); }

TEST(EstimateWaitTest, AnIdleInstanceTakesTheTaskAtOnce) {
  EXPECT_EQ(EstimateWait(0, {Ms(0)}, Ms(10)), Ms(0));
  EXPECT_EQ(EstimateWait(0, {Ms(7), Ms(0)}, Ms(10)), Ms(0));
}

TEST(EstimateWaitTest, CountsWhatRunsAndTheFullBatchesAhead) {
  EXPECT_EQ(EstimateWait(0, {Ms(7)}, Ms(10)), Ms(7));
  EXPECT_EQ(EstimateWait(5, {Ms(7)}, Ms(10)), Ms(57));
}

TEST(EstimateWaitTest, InstancesTakeTheBatchesAheadInTurn) {
  EXPECT_EQ(EstimateWait(1, {Ms(7), Ms(2)}, Ms(10)), Ms(7));
  EXPECT_EQ(EstimateWait(2, {Ms(7), Ms(2)}, Ms(10)), Ms(12));
  EXPECT_EQ(EstimateWait(7, {Ms(1), Ms(2), Ms(3), Ms(4)}, Ms(10)), Ms(14));
}

TEST(EstimateWaitTest, AnInstanceThatIsBusyForLongTakesNone) {
  EXPECT_EQ(EstimateWait(1, {Ms(100), Ms(1)}, Ms(10)), Ms(11));
  EXPECT_EQ(EstimateWait(10, {Ms(100), Ms(1)}, Ms(10)), Ms(100));
  EXPECT_EQ(EstimateWait(11, {Ms(100), Ms(1)}, Ms(10)), Ms(101));
}

TEST(EstimateWaitTest, WithoutAMeasurementOnlyWhatRunsCounts) {
  EXPECT_EQ(EstimateWait(800, {Ms(7), Ms(3)}, kUnmeasured), Ms(3));
}

TEST(DecideBatchTest, TheOldestTaskIsDueWhereverItStands) {
  EXPECT_EQ(Take(UpTo(8, absl::Milliseconds(5)), {Rows(1), Rows(1, absl::Milliseconds(5))}), 2);
}

TEST(WaitTableTest, SaysForEachNumberOfBatchesWhatIsEstimatedForIt) {
  for (const BusyTimes& busy_for :
       {BusyTimes{Ms(7)}, {Ms(7), Ms(2)}, {Ms(100), Ms(1)}, {Ms(1), Ms(2), Ms(3), Ms(4)}}) {
    WaitTable waits(busy_for, {.run = Ms(6), .turn = Ms(4)});
    for (const int batches : {11, 0, 1, 2, 7, 10})
      EXPECT_EQ(waits(batches), EstimateWait(batches, busy_for, Ms(10))) << batches;
  }
}

// Next fit, of the worst sequence that there is.
TEST(MostBatchesTest, IsNeverLessThanWhatTasksCanFill) {
  constexpr int kMaxBatchSize = 4;
  const auto fill = [](const std::vector<int>& tasks) {
    int batches = 0, rows = kMaxBatchSize;
    for (const int task : tasks) {
      rows += task;
      if (rows > kMaxBatchSize) {
        ++batches;
        rows = task;
      }
    }
    return batches;
  };
  // Every sequence of five tasks of 0 (none) to 4 rows.
  for (int code = 1; code < 5 * 5 * 5 * 5 * 5; ++code) {
    std::vector<int> tasks;
    int rows = 0;
    for (int rest = code; rest > 0; rest /= 5) {
      if (rest % 5 > 0) tasks.push_back(rest % 5);
      rows += rest % 5;
    }
    ASSERT_LE(fill(tasks), MostBatches(static_cast<int>(tasks.size()), rows, kMaxBatchSize)) << code;
  }
  EXPECT_EQ(MostBatches(1, 4, 4), 1);
  EXPECT_EQ(MostBatches(3, 3, 32), 1);
}

TEST(ShareOfTimeTest, AQuarterIsKeptForTheMostUrgent) {
  EXPECT_EQ(ShareOfTime(Ms(100), 1), Ms(100));
  EXPECT_EQ(ShareOfTime(Ms(100), 2), Ms(75));
  EXPECT_EQ(ShareOfTime(kNever, 2), kNever);
}

TEST(ShareOfQueueTest, AQuarterIsKeptForTheMostUrgent) {
  EXPECT_EQ(ShareOfQueue(100, 1), 100);
  EXPECT_EQ(ShareOfQueue(100, 2), 75);
  EXPECT_EQ(ShareOfQueue(100, 3), 75);
}

}  // namespace
}  // namespace calserve
