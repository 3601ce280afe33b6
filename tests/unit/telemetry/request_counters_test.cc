#include "server/telemetry/request_counters.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace calserve {
namespace {

TEST(DurationCounterTest, LosesNothingThatManyThreadsAdd) {
  DurationCounter counter;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&counter] {
        for (int i = 0; i < 10'000; ++i) counter.Add(absl::Nanoseconds(3));
      });
    }
  }
  EXPECT_EQ(counter.count(), 40'000);
  EXPECT_EQ(counter.total(), absl::Microseconds(120));
}

TEST(DurationCounterTest, AClockThatWasSetBackTakesNothingFromTheSum) {
  DurationCounter counter;
  counter.Add(absl::Seconds(2));
  counter.Add(-absl::Hours(1));
  EXPECT_EQ(counter.count(), 2);
  EXPECT_EQ(counter.total(), absl::Seconds(2));
}

TEST(RequestCountersTest, CountsAnAnswerInEachOfItsParts) {
  RequestCounters counters;
  const absl::Time now = absl::FromUnixMillis(1'700'000'000'123);
  RequestTiming timing;
  timing.until_answer = absl::Seconds(15);
  timing.receive = absl::Milliseconds(100);
  timing.queue = absl::Seconds(1);
  timing.preprocess = absl::Seconds(2);
  timing.preprocess_cost = absl::Seconds(3);
  timing.model = absl::Seconds(4);
  timing.model_cost = absl::Milliseconds(500);
  timing.calibrate = absl::Seconds(8);
  counters.CountAnswered(Rpc::kPredict, 5, timing, now);
  counters.CountAnswered(Rpc::kModelInfer, 2, timing, now);
  counters.CountResponded(absl::Milliseconds(10), absl::Seconds(16));
  EXPECT_EQ(counters.rows(), 7);
  EXPECT_EQ(counters.last_answer(), 1'700'000'000'123);
  EXPECT_EQ(counters.answered().count(), 2);
  EXPECT_EQ(counters.answered().total(), absl::Seconds(30));
  EXPECT_EQ(counters.queue().total(), absl::Seconds(2));
  EXPECT_EQ(counters.preprocess().total(), absl::Seconds(4));
  EXPECT_EQ(counters.model().total(), absl::Seconds(8));
  EXPECT_EQ(counters.calibrate().total(), absl::Seconds(16));
  EXPECT_EQ(counters.receive_time(), absl::Milliseconds(200));
  EXPECT_EQ(counters.preprocess_cost(), absl::Seconds(6));
  EXPECT_EQ(counters.model_cost(), absl::Seconds(1));
  EXPECT_EQ(counters.respond().count(), 1);
  EXPECT_EQ(counters.respond().total(), absl::Milliseconds(10));
  EXPECT_EQ(counters.total().total(), absl::Seconds(16));
  EXPECT_EQ(counters.outcomes().count(Rpc::kPredict, absl::StatusCode::kOk), 1);
  EXPECT_EQ(counters.outcomes().count(Rpc::kModelInfer, absl::StatusCode::kOk), 1);
  EXPECT_EQ(counters.outcomes().count(Rpc::kStreamPredict, absl::StatusCode::kOk), 0);
}

TEST(RequestCountersTest, CountsFailuresByTheirCodeAndInNoPart) {
  RequestCounters counters;
  counters.CountFailed(Rpc::kPredict, absl::StatusCode::kInvalidArgument, absl::Seconds(1));
  counters.CountFailed(Rpc::kPredict, absl::StatusCode::kUnauthenticated, absl::Seconds(2));
  counters.CountFailed(Rpc::kPredict, absl::StatusCode::kUnauthenticated, absl::Seconds(3));
  EXPECT_EQ(counters.failed(absl::StatusCode::kInvalidArgument).count(), 1);
  EXPECT_EQ(counters.failed(absl::StatusCode::kUnauthenticated).count(), 2);
  EXPECT_EQ(counters.failed(absl::StatusCode::kUnauthenticated).total(), absl::Seconds(5));
  EXPECT_EQ(counters.failed(absl::StatusCode::kInternal).count(), 0);
  EXPECT_EQ(counters.failures().count, 3);
  EXPECT_EQ(counters.outcomes().count(Rpc::kPredict, absl::StatusCode::kUnauthenticated), 2);
  EXPECT_EQ(counters.failures().total, absl::Seconds(6));
  EXPECT_EQ(counters.answered().count(), 0);
  EXPECT_EQ(counters.queue().count(), 0);
  EXPECT_EQ(counters.last_answer(), 0);
}

}  // namespace
}  // namespace calserve
