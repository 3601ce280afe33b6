#include "server/batching/service_times.h"

#include "gtest/gtest.h"

namespace calserve {
namespace {

absl::Duration Ms(int milliseconds) { return absl::Milliseconds(milliseconds); }

TEST(ServiceTimesTest, AtMostScalesWhatWasMeasuredOfFewerRows) {
  ServiceTimes times(8);
  EXPECT_EQ(times.AtMost(1), absl::InfiniteDuration());
  times.Observe(2, absl::Microseconds(100));
  EXPECT_EQ(times.AtMost(1), absl::InfiniteDuration());
  EXPECT_EQ(times.AtMost(2), absl::Microseconds(100));
  EXPECT_EQ(times.AtMost(8), absl::Microseconds(400));
  times.Observe(8, absl::Microseconds(150));
  EXPECT_EQ(times.AtMost(8), absl::Microseconds(150));
}

TEST(ServiceTimesTest, NothingIsKnownBeforeTheFirstBatch) {
  const ServiceTimes times(8);
  EXPECT_EQ(times.Expected(8), absl::ZeroDuration());
  EXPECT_EQ(times.typical(), absl::ZeroDuration());
  EXPECT_EQ(times.spread(), 0);
}

TEST(ServiceTimesTest, ASizeThatNeverRanIsEstimatedByTheNextSmallerOne) {
  ServiceTimes times(8);
  times.Observe(2, Ms(20));
  times.Observe(5, Ms(50));
  EXPECT_EQ(times.Expected(1), absl::ZeroDuration());
  EXPECT_EQ(times.Expected(2), Ms(20));
  EXPECT_EQ(times.Expected(4), Ms(20));
  EXPECT_EQ(times.Expected(8), Ms(50));
  times.Observe(3, Ms(30));
  EXPECT_EQ(times.Expected(4), Ms(30));
  EXPECT_EQ(times.Expected(5), Ms(50));
}

TEST(ServiceTimesTest, ANewBatchCountsAFifth) {
  ServiceTimes times(8);
  times.Observe(4, Ms(100));
  times.Observe(4, Ms(200));
  EXPECT_EQ(times.Expected(4), Ms(120));
  times.Observe(1, Ms(20));
  EXPECT_EQ(times.Expected(4), Ms(120));
  EXPECT_EQ(times.typical(), Ms(100));  // 100, 120, 120 - 100 / 5
}

TEST(ServiceTimesTest, TheSpreadIsTheMeanRelativeDeviation) {
  ServiceTimes times(8);
  times.Observe(4, Ms(100));
  EXPECT_EQ(times.spread(), 0);
  times.Observe(4, Ms(150));  // expected 100
  EXPECT_DOUBLE_EQ(times.spread(), 0.1);
  times.Observe(4, Ms(55));  // expected 110
  EXPECT_DOUBLE_EQ(times.spread(), 0.18);
}

}  // namespace
}  // namespace calserve
