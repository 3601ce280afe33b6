#include "calibration/platt_fit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

namespace calserve {
namespace {

struct Scored {
  std::vector<double> scores;
  std::vector<uint8_t> positive;
};

Scored RandomScores(int rows, double slope, double offset, int seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal(0, 2);
  std::uniform_real_distribution<double> uniform(0, 1);
  Scored data;
  for (int i = 0; i < rows; ++i) {
    data.scores.push_back(normal(generator));
    data.positive.push_back(uniform(generator) < 1 / (1 + std::exp(slope * data.scores.back() + offset)));
  }
  return data;
}

PlattFit Fit(const Scored& data) { return FitPlatt(data.scores, data.positive); }

TEST(PlattFitTest, FindsTheParametersThatDrewTheLabels) {
  const PlattFit fit = Fit(RandomScores(50'000, -0.8, 0.5, 1));
  EXPECT_TRUE(fit.converged);
  EXPECT_TRUE(fit.overlapping);
  EXPECT_NEAR(fit.slope, -0.8, 0.03);
  EXPECT_NEAR(fit.offset, 0.5, 0.03);
}

TEST(PlattFitTest, SeparableScoresStayFinite) {
  const PlattFit fit = FitPlatt({-2, -1, 1, 2}, {0, 0, 1, 1});
  EXPECT_TRUE(fit.converged);
  EXPECT_FALSE(fit.overlapping);
  EXPECT_NEAR(fit.slope, -0.6739963940, 1e-9);
  EXPECT_NEAR(fit.offset, 0, 1e-9);
}

TEST(PlattFitTest, AClassWithoutRowsGetsItsSmoothedShare) {
  for (const uint8_t side : {0, 1}) {
    const PlattFit fit = FitPlatt({-1, 0, 2, 3}, {side, side, side, side});
    EXPECT_TRUE(fit.converged);
    EXPECT_FALSE(fit.overlapping);
    EXPECT_NEAR(fit.slope, 0, 1e-9);
    EXPECT_NEAR(1 / (1 + std::exp(fit.offset)), side == 1 ? 5.0 / 6 : 1.0 / 6, 1e-9);
  }
}

TEST(PlattFitTest, EqualScoresGiveTheSmoothedBaseRateAndNoSlope) {
  const PlattFit fit = FitPlatt({1e4, 1e4, 1e4, 1e4}, {1, 0, 0, 0});
  EXPECT_TRUE(fit.converged);
  EXPECT_EQ(fit.slope, 0);
  // Mean target of one row at 2/3 and three at 1/5.
  EXPECT_NEAR(1 / (1 + std::exp(fit.offset)), (2.0 / 3 + 3 * 0.2) / 4, 1e-9);
}

TEST(PlattFitTest, NoRowsAreAnEvenChance) {
  const PlattFit fit = FitPlatt({}, {});
  EXPECT_TRUE(fit.converged);
  EXPECT_EQ(fit.slope, 0);
  EXPECT_EQ(fit.offset, 0);
}

TEST(PlattFitTest, OneRowIsFinite) {
  const PlattFit fit = FitPlatt({3}, {1});
  EXPECT_TRUE(fit.converged);
  EXPECT_TRUE(std::isfinite(fit.slope) && std::isfinite(fit.offset));
}

TEST(PlattFitTest, ScalingTheScoresScalesTheSlope) {
  const Scored data = RandomScores(200, -0.8, 0.5, 2);
  const PlattFit expected = Fit(data);
  for (const double factor : {1e-30, 1e-6, 1e6, 1e30}) {
    Scored scaled = data;
    for (double& score : scaled.scores) score *= factor;
    const PlattFit fit = Fit(scaled);
    EXPECT_TRUE(fit.converged) << factor;
    EXPECT_NEAR(fit.slope * factor / expected.slope, 1, 1e-9) << factor;
    EXPECT_NEAR(fit.offset, expected.offset, 1e-9) << factor;
  }
}

TEST(PlattFitTest, DoesNotDependOnTheOrderOfRows) {
  const Scored data = RandomScores(2000, -0.8, 0.5, 3);
  const PlattFit expected = Fit(data);
  std::vector<int> order(data.scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937(4));
  Scored shuffled;
  for (const int i : order) {
    shuffled.scores.push_back(data.scores[i]);
    shuffled.positive.push_back(data.positive[i]);
  }
  const PlattFit fit = Fit(shuffled);
  EXPECT_NEAR(fit.slope / expected.slope, 1, 1e-9);
  EXPECT_NEAR(fit.offset / expected.offset, 1, 1e-9);
}

TEST(PlattFitTest, ConvergesOnManyShapes) {
  for (int seed = 0; seed < 200; ++seed) {
    Scored data = RandomScores(2 + seed, -std::exp2(seed % 11 - 5), seed % 5 - 2, seed);
    if (seed % 3 == 0) data.scores[0] = 1e4;  // an outlier
    const PlattFit fit = Fit(data);
    EXPECT_TRUE(fit.converged) << seed;
    EXPECT_TRUE(std::isfinite(fit.slope) && std::isfinite(fit.offset)) << seed;
  }
}

}  // namespace
}  // namespace calserve
