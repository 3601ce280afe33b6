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
  const RequestTiming timing{absl::Seconds(15), absl::Seconds(1), absl::Seconds(2), absl::Seconds(4),
                             absl::Seconds(8)};
  counters.CountAnswered(5, timing, now);
  counters.CountAnswered(2, timing, now);
  EXPECT_EQ(counters.rows(), 7);
  EXPECT_EQ(counters.last_answer(), 1'700'000'000'123);
  EXPECT_EQ(counters.answered().count(), 2);
  EXPECT_EQ(counters.answered().total(), absl::Seconds(30));
  EXPECT_EQ(counters.queue().total(), absl::Seconds(2));
  EXPECT_EQ(counters.preprocess().total(), absl::Seconds(4));
  EXPECT_EQ(counters.model().total(), absl::Seconds(8));
  EXPECT_EQ(counters.respond().total(), absl::Seconds(16));
}

TEST(RequestCountersTest, CountsFailuresByTheirCodeAndInNoPart) {
  RequestCounters counters;
  counters.CountFailed(absl::StatusCode::kInvalidArgument, absl::Seconds(1));
  counters.CountFailed(absl::StatusCode::kUnauthenticated, absl::Seconds(2));
  counters.CountFailed(absl::StatusCode::kUnauthenticated, absl::Seconds(3));
  EXPECT_EQ(counters.failed(absl::StatusCode::kInvalidArgument).count(), 1);
  EXPECT_EQ(counters.failed(absl::StatusCode::kUnauthenticated).count(), 2);
  EXPECT_EQ(counters.failed(absl::StatusCode::kUnauthenticated).total(), absl::Seconds(5));
  EXPECT_EQ(counters.failed(absl::StatusCode::kInternal).count(), 0);
  EXPECT_EQ(counters.failures().count, 3);
  EXPECT_EQ(counters.failures().total, absl::Seconds(6));
  EXPECT_EQ(counters.answered().count(), 0);
  EXPECT_EQ(counters.queue().count(), 0);
  EXPECT_EQ(counters.last_answer(), 0);
}

}  // namespace
}  // namespace calserve
