#include "calibration/row_kernels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
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

TEST(RowKernelsTest, LogisticSumsAreThoseOfTheFormulasForAnyNumberOfRows) {
  std::mt19937 generator(5);
  std::normal_distribution<double> normal(0, 3);
  for (const size_t n : {0u, 1u, 3u, 4u, 255u, 256u, 257u, 1000u}) {
    std::vector<double> a, b;
    for (size_t i = 0; i < n; ++i) a.push_back(normal(generator)), b.push_back(normal(generator));
    LogisticSums expected;
    for (size_t i = 0; i < n; ++i) {
      const double x = 0.7 * a[i] - 1.3 * b[i] + 0.2, p = 1 / (1 + std::exp(-x)), w = p * (1 - p);
      expected.p += p, expected.pa += p * a[i], expected.pb += p * b[i];
      expected.w += w, expected.wa += w * a[i], expected.wb += w * b[i];
      expected.waa += w * a[i] * a[i], expected.wab += w * a[i] * b[i], expected.wbb += w * b[i] * b[i];
      expected.softplus += std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
    }
    const LogisticSums sums = SumLogistic(a, b, 0.7, -1.3, 0.2);
    const double tolerance = 1e-12 * static_cast<double>(n + 1);
    EXPECT_NEAR(sums.p, expected.p, tolerance);
    EXPECT_NEAR(sums.pa, expected.pa, tolerance);
    EXPECT_NEAR(sums.pb, expected.pb, tolerance);
    EXPECT_NEAR(sums.w, expected.w, tolerance);
    EXPECT_NEAR(sums.wa, expected.wa, tolerance);
    EXPECT_NEAR(sums.wb, expected.wb, tolerance);
    EXPECT_NEAR(sums.waa, expected.waa, tolerance);
    EXPECT_NEAR(sums.wab, expected.wab, tolerance);
    EXPECT_NEAR(sums.wbb, expected.wbb, tolerance);
    EXPECT_NEAR(sums.softplus, expected.softplus, tolerance);
  }
}

TEST(RowKernelsTest, LogisticSumsOfOneFeatureAndOfHugeOnesAreFinite) {
  const LogisticSums one = SumLogistic({2.0, -1.0}, {}, 1, 5, 0);
  EXPECT_NEAR(one.p, 1 / (1 + std::exp(-2.0)) + 1 / (1 + std::exp(1.0)), 1e-15);
  EXPECT_EQ(one.pb, 0);
  EXPECT_EQ(one.wbb, 0);
  const LogisticSums huge = SumLogistic({1e300, -1e300}, {}, 1, 0, 0);
  EXPECT_EQ(huge.p, 1);
  EXPECT_EQ(huge.w, 0);
  EXPECT_EQ(huge.softplus, 1e300);
}

}  // namespace
}  // namespace calserve
