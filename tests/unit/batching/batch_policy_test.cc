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

TEST(EstimateCompletionTest, NothingIsKnownBeforeTheFirstBatch) {
  EXPECT_EQ(EstimateCompletion(UpTo(8), 800, kUnmeasured), absl::ZeroDuration());
}

TEST(EstimateCompletionTest, LessThanABatchAheadIsNoReasonToRefuse) {
  EXPECT_EQ(EstimateCompletion(UpTo(8), 0, absl::Seconds(10)), absl::ZeroDuration());
  EXPECT_EQ(EstimateCompletion(UpTo(8), 7, absl::Seconds(10)), absl::ZeroDuration());
}

TEST(EstimateCompletionTest, CountsFullBatchesAheadAndItsOwn) {
  EXPECT_EQ(EstimateCompletion(UpTo(8), 8, absl::Milliseconds(10)), absl::Milliseconds(20));
  EXPECT_EQ(EstimateCompletion(UpTo(8), 47, absl::Milliseconds(10)), absl::Milliseconds(60));
}

TEST(EstimateCompletionTest, InstancesShareTheBatchesAhead) {
  BatchingOptions options = UpTo(8);
  options.instances = 4;
  EXPECT_EQ(EstimateCompletion(options, 64, absl::Milliseconds(10)), absl::Milliseconds(30));
}

TEST(DecideBatchTest, TheOldestTaskIsDueWhereverItStands) {
  EXPECT_EQ(Take(UpTo(8, absl::Milliseconds(5)), {Rows(1), Rows(1, absl::Milliseconds(5))}), 2);
}

TEST(IsUrgentTest, WhenAnotherBatchInBetweenCouldBeTooMany) {
  EXPECT_TRUE(IsUrgent(absl::Milliseconds(29), absl::Milliseconds(10)));
  EXPECT_FALSE(IsUrgent(absl::Milliseconds(30), absl::Milliseconds(10)));
  EXPECT_FALSE(IsUrgent(kNever, absl::Seconds(10)));
  EXPECT_FALSE(IsUrgent(absl::Milliseconds(1), kUnmeasured));
}

TEST(ShareOfQueueTest, AQuarterIsKeptForTheMostUrgent) {
  EXPECT_EQ(ShareOfQueue(100, 1), 100);
  EXPECT_EQ(ShareOfQueue(100, 2), 75);
  EXPECT_EQ(ShareOfQueue(100, 3), 75);
}

}  // namespace
}  // namespace calserve
