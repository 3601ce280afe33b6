#include "server/telemetry/histogram.h"

#include <array>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;

constexpr std::array<int64_t, 3> kBounds = {1'000, 1'000'000, 1'000'000'000};  // 1 µs, 1 ms, 1 s

TEST(DurationHistogramTest, ABoundBelongsToTheBucketThatItEnds) {
  DurationHistogram<kBounds> histogram;
  for (const absl::Duration duration :
       {absl::ZeroDuration(), absl::Microseconds(1), absl::Nanoseconds(1001), absl::Milliseconds(1),
        absl::Seconds(1), absl::Nanoseconds(1'000'000'001), absl::Hours(1)}) {
    histogram.Add(duration);
  }
  const HistogramValues values = histogram.values();
  EXPECT_THAT(values.bounds, ElementsAre(1e-6, 1e-3, 1));
  EXPECT_THAT(values.counts, ElementsAre(2, 2, 1, 2));
  EXPECT_EQ(values.count(), 7);
  EXPECT_EQ(histogram.count(), 7);
  EXPECT_DOUBLE_EQ(values.sum, absl::ToDoubleSeconds(histogram.total()));
}

TEST(DurationHistogramTest, LosesNothingThatManyThreadsAdd) {
  DurationHistogram<kBounds> histogram;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&histogram, thread] {
        for (int i = 0; i < 10'000; ++i) histogram.Add(absl::Nanoseconds(thread < 2 ? 3 : 3'000));
      });
    }
  }
  EXPECT_THAT(histogram.values().counts, ElementsAre(20'000, 20'000, 0, 0));
  EXPECT_EQ(histogram.total(), absl::Microseconds(60'060));
}

TEST(DurationHistogramTest, AClockThatWasSetBackTakesNothingFromTheSum) {
  DurationHistogram<kBounds> histogram;
  histogram.Add(absl::Milliseconds(2));
  histogram.Add(-absl::Hours(1));
  EXPECT_THAT(histogram.values().counts, ElementsAre(1, 0, 1, 0));
  EXPECT_EQ(histogram.total(), absl::Milliseconds(2));
}

// std::lower_bound counts on it.
TEST(DurationHistogramTest, TheServersBoundsIncrease) {
  for (size_t i = 1; i < kServingBounds.size(); ++i) EXPECT_LT(kServingBounds[i - 1], kServingBounds[i]);
  for (size_t i = 1; i < kLabelDelayBounds.size(); ++i)
    EXPECT_LT(kLabelDelayBounds[i - 1], kLabelDelayBounds[i]);
}

}  // namespace
}  // namespace calserve
