#include "calibration/row_kernels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace calserve {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double ExpOf(double x) {
  ExpOfNonPositive({&x, 1});
  return x;
}

TEST(RowKernelsTest, ExpIsWithinAnUlpOfTheStandardOne) {
  std::mt19937_64 generator(1);
  std::uniform_real_distribution<double> exponent(-20, 9.46);
  for (int i = 0; i < 100'000; ++i) {
    const double x = -std::exp2(exponent(generator));
    const double expected = std::exp(x);
    EXPECT_NEAR(ExpOf(x) / expected, 1, 3e-16) << x;
  }
}

TEST(RowKernelsTest, ExpHasExactEnds) {
  EXPECT_EQ(ExpOf(0.0), 1);
  EXPECT_EQ(ExpOf(-0.0), 1);
  EXPECT_EQ(ExpOf(-std::numeric_limits<double>::denorm_min()), 1);
  EXPECT_EQ(ExpOf(-708.5), 0);
  EXPECT_EQ(ExpOf(-1e308), 0);
  EXPECT_EQ(ExpOf(-kInfinity), 0);
}

TEST(RowKernelsTest, ExpOfAnElementDoesNotDependOnItsPlaceOrNeighbours) {
  std::mt19937_64 generator(2);
  std::uniform_real_distribution<double> uniform(-30, 0);
  std::vector<double> values(67);
  for (double& value : values) value = uniform(generator);
  std::vector<double> together = values;
  ExpOfNonPositive(absl::MakeSpan(together));
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(together[i], ExpOf(values[i]));
}

TEST(RowKernelsTest, SumAndMaxCoverEveryLength) {
  for (int n = 1; n <= 13; ++n) {
    for (int largest = 0; largest < n; ++largest) {
      std::vector<double> values(n, -2);
      values[largest] = 5;
      EXPECT_EQ(Max(values), 5);
      EXPECT_EQ(Sum(values), 5 - 2 * (n - 1));
    }
  }
  EXPECT_EQ(Sum({}), 0);
}

TEST(RowKernelsTest, MomentsAreWeightedPowerSums) {
  for (int n = 1; n <= 9; ++n) {
    std::vector<double> weights, z;
    double expected[4] = {};
    for (int k = 0; k < n; ++k) {
      weights.push_back(k + 1);
      z.push_back(k - 3);
      for (int power = 0; power < 4; ++power) expected[power] += (k + 1) * std::pow(k - 3, power);
    }
    const Moments moments = WeightedMoments(weights, z);
    EXPECT_EQ(moments.zeroth, expected[0]);
    EXPECT_EQ(moments.first, expected[1]);
    EXPECT_EQ(moments.second, expected[2]);
    EXPECT_EQ(moments.third, expected[3]);
  }
}

}  // namespace
}  // namespace calserve
