#include "server/dashboard_history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace calserve {
namespace {

using ::testing::DoubleEq;
using ::testing::Optional;

HistogramValues Histogram(std::vector<int64_t> counts) { return {{0.001, 0.01, 0.1}, std::move(counts), 0}; }

RequestTotals Totals(int64_t answered, int64_t failed, std::vector<int64_t> counts) {
  return {answered, failed, Histogram(std::move(counts)), answered / 2, answered};
}

TEST(QuantileTest, IsLinearWithinABucket) {
  EXPECT_THAT(Quantile(Histogram({0, 4, 0, 0}), 0.5), Optional(DoubleEq(0.001 + 0.009 / 2)));
  EXPECT_THAT(Quantile(Histogram({2, 2, 0, 0}), 0.5), Optional(DoubleEq(0.001)));
  EXPECT_THAT(Quantile(Histogram({3, 0, 1, 0}), 1), Optional(DoubleEq(0.1)));
}

TEST(QuantileTest, BeyondTheLastBoundIsThatBound) {
  EXPECT_THAT(Quantile(Histogram({0, 0, 0, 7}), 0.5), Optional(DoubleEq(0.1)));
}

TEST(QuantileTest, OfNothingIsNothing) { EXPECT_EQ(Quantile(Histogram({0, 0, 0, 0}), 0.5), std::nullopt); }

TEST(RateBetweenTest, CountsWhatCameInTheMeantime) {
  const TrafficValues traffic =
      RateBetween(Totals(10, 1, {10, 0, 0, 0}), Totals(30, 6, {10, 20, 0, 0}), absl::Seconds(5));
  EXPECT_DOUBLE_EQ(traffic.requests, 5);
  EXPECT_DOUBLE_EQ(traffic.failures, 1);
  EXPECT_THAT(traffic.p50, Optional(DoubleEq(0.0055)));
  EXPECT_THAT(traffic.mean_batch, Optional(DoubleEq(2)));
}

TEST(RateBetweenTest, SaysNothingOfAVersionThatWasLoadedAnew) {
  const TrafficValues traffic =
      RateBetween(Totals(10, 0, {10, 0, 0, 0}), Totals(2, 0, {2, 0, 0, 0}), absl::Seconds(1));
  EXPECT_EQ(traffic.requests, 0);
  EXPECT_EQ(traffic.p50, std::nullopt);
}

class DashboardHistoryTest : public ::testing::Test {
 protected:
  void Advance(absl::Duration by) { now_ += by; }
  void AddTotals(int64_t answered) {
    history_.AddTotals(now_, {{"m", 1, Totals(answered, 0, {answered, 0, 0, 0})}});
  }
  void AddPoint(double ece) {
    CalibrationPoint point{now_, 0, 100, ece};
    history_.AddPoints(now_, {{Watch{"m", 1, "last_1000"}, point}});
  }
  HistoryValues After(absl::Time since) { return history_.After({"m", 1, "last_1000"}, since); }

  DashboardHistory history_;
  absl::Time now_ = absl::FromUnixSeconds(1'000'000);
};

TEST_F(DashboardHistoryTest, TheRateIsOfTheLastTenSeconds) {
  for (int second = 0; second < 30; ++second) {
    AddTotals(second < 15 ? 0 : 100 * (second - 15));
    Advance(absl::Seconds(1));
  }
  EXPECT_DOUBLE_EQ(history_.Traffic("m", 1).requests, 100);
}

TEST_F(DashboardHistoryTest, PointsAreDueEveryTenSeconds) {
  EXPECT_TRUE(history_.PointsAreDue(now_));
  AddTotals(0);
  AddPoint(0.1);
  EXPECT_FALSE(history_.PointsAreDue(now_ + absl::Seconds(9)));
  EXPECT_TRUE(history_.PointsAreDue(now_ + absl::Seconds(10)));
}

TEST_F(DashboardHistoryTest, KeepsTheLastHourInFullAndTheDayThinnedAndNoMore) {
  const absl::Time start = now_;
  AddTotals(0);
  for (int i = 0; i < 2 * 8640; ++i) {  // two days
    AddPoint(i);
    Advance(absl::Seconds(10));
  }
  const std::vector<CalibrationPoint> points = After(absl::InfinitePast()).calibration;
  EXPECT_LE(points.size(), 1080);
  EXPECT_EQ(points.back().time, now_ - absl::Seconds(10));
  EXPECT_LE(points.front().time, now_ - absl::Hours(23));
  EXPECT_GE(points.front().time, start + absl::Hours(24));
  for (size_t i = 1; i < points.size(); ++i) {
    ASSERT_LT(points[i - 1].time, points[i].time);
    ASSERT_LE(points[i].time - points[i - 1].time, absl::Minutes(2));
    ASSERT_EQ(points[i].ece, absl::ToDoubleSeconds(points[i].time - start) / 10);
  }
  EXPECT_EQ(points.size() - 360,
            std::count_if(points.begin(), points.end(), [this](const CalibrationPoint& point) {
              return point.time < now_ - absl::Hours(1);
            }));
}

TEST_F(DashboardHistoryTest, GivesWhatCameAfter) {
  AddTotals(0);
  AddPoint(0.1);
  const absl::Time first = now_;
  Advance(absl::Seconds(10));
  AddPoint(0.2);
  const HistoryValues values = After(first);
  ASSERT_EQ(values.calibration.size(), 1);
  EXPECT_EQ(values.calibration[0].ece, 0.2);
  EXPECT_EQ(values.traffic.size(), 1);
}

TEST_F(DashboardHistoryTest, ForgetsWhatServesNoMoreAndHoldsSoManyVersionsOnly) {
  AddTotals(0);
  AddPoint(0.1);
  std::vector<DashboardHistory::Version> many;
  for (int i = 0; i < 2 * DashboardHistory::kMaxVersions; ++i)
    many.push_back({"other", i, Totals(0, 0, {0, 0, 0, 0})});
  history_.AddTotals(now_, many);
  EXPECT_TRUE(After(absl::InfinitePast()).calibration.empty());
  history_.AddPoints(now_,
                     {{Watch{"other", DashboardHistory::kMaxVersions, "last_1000"}, CalibrationPoint{now_}},
                      {Watch{"other", 0, "last_1000"}, CalibrationPoint{now_}}});
  EXPECT_EQ(history_.After({"other", 0, "last_1000"}, absl::InfinitePast()).calibration.size(), 1);
  EXPECT_TRUE(history_.After({"other", DashboardHistory::kMaxVersions, "last_1000"}, absl::InfinitePast())
                  .calibration.empty());
}

}  // namespace
}  // namespace calserve
