#include "calibration/metrics/estimate.h"

#include <gtest/gtest.h>

#include <cmath>

namespace calserve {
namespace {

// The score test does not refuse the ends, and refuses what lies beyond.
TEST(EstimateTest, WilsonHoldsTheSharesThatTheScoreTestDoesNotRefuse) {
  const Estimate found = WilsonEstimate(15, 20);
  EXPECT_EQ(found.value, 0.75);
  for (const double end : {*found.low, *found.high}) {
    EXPECT_NEAR(std::abs(0.75 - end) / std::sqrt(end * (1 - end) / 20), 1.959963984540054, 1e-12);
  }
}

TEST(EstimateTest, WilsonStaysWithinZeroAndOne) {
  EXPECT_EQ(*WilsonEstimate(0, 1).low, 0);
  EXPECT_EQ(*WilsonEstimate(1, 1).high, 1);
  EXPECT_LT(*WilsonEstimate(1, 1).low, 0.25);
  EXPECT_EQ(WilsonEstimate(0, 0), Estimate());
}

TEST(EstimateTest, AMeanHasTheIntervalOfItsStandardError) {
  MeanEstimate mean;
  for (const double x : {1.0, 2.0, 3.0, 4.0}) mean.Add(x);
  const double error = std::sqrt(5.0 / 3 / 4);
  EXPECT_EQ(mean.Get().value, 2.5);
  EXPECT_NEAR(*mean.Get().low, 2.5 - 1.959963984540054 * error, 1e-12);
  EXPECT_NEAR(*mean.Get().high, 2.5 + 1.959963984540054 * error, 1e-12);
}

TEST(EstimateTest, ManyOfOneNumberAreThatNumberAgainAndAgain) {
  MeanEstimate many, one_by_one;
  many.AddMany(0.25, 3);
  many.AddMany(0.5, 2);
  for (const double x : {0.5, 0.25, 0.25, 0.5, 0.25}) one_by_one.Add(x);
  EXPECT_EQ(many.Get(), one_by_one.Get());
}

TEST(EstimateTest, EqualNumbersTellNothingOfTheirSpread) {
  MeanEstimate mean;
  EXPECT_EQ(mean.Get(), Estimate());
  mean.Add(0.1);
  EXPECT_FALSE(mean.Get().low.has_value());
  mean.AddMany(0.1, 1000);
  EXPECT_FALSE(mean.Get().low.has_value());
  mean.Add(0.2);
  EXPECT_TRUE(mean.Get().low.has_value());
}

}  // namespace
}  // namespace calserve
