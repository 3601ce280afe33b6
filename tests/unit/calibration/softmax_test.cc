#include "calibration/softmax.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace calserve {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

std::vector<double> Softmax(double beta, std::vector<double> z) {
  SoftmaxInPlace(beta, absl::MakeSpan(z));
  return z;
}

TEST(SoftmaxTest, IsExpOverItsSum) {
  const double sum = 1 + std::exp(1) + std::exp(2);
  EXPECT_THAT(Softmax(1, {0, 1, 2}),
              ElementsAre(DoubleNear(1 / sum, 1e-15), DoubleNear(std::exp(1) / sum, 1e-15),
                          DoubleNear(std::exp(2) / sum, 1e-15)));
  EXPECT_THAT(Softmax(0.5, {0, 2, 4}),
              ElementsAre(DoubleNear(1 / sum, 1e-15), DoubleNear(std::exp(1) / sum, 1e-15),
                          DoubleNear(std::exp(2) / sum, 1e-15)));
}

TEST(SoftmaxTest, HugeLogitsNeitherOverflowNorLoseTheirOrder) {
  EXPECT_THAT(Softmax(1, {1e4, -1e4, 1e4}), ElementsAre(0.5, 0, 0.5));
  EXPECT_THAT(Softmax(1e6, {3e38, -3e38}), ElementsAre(1, 0));
}

TEST(SoftmaxTest, EqualLogitsAreUniform) {
  EXPECT_THAT(Softmax(1, {7, 7, 7, 7}), ElementsAre(.25, .25, .25, .25));
}

TEST(SoftmaxTest, LogSoftmaxIsTheLogarithmEvenWhereSoftmaxIsZero) {
  std::vector<double> z = {0, -1e4, 1};
  LogSoftmaxInPlace(absl::MakeSpan(z));
  const double log_sum = std::log1p(std::exp(-1)) + 1;
  EXPECT_THAT(z, ElementsAre(DoubleNear(-log_sum, 1e-15), DoubleNear(-1e4 - log_sum, 1e-11),
                             DoubleNear(1 - log_sum, 1e-15)));
}

TEST(SoftmaxTest, LogisticOfMinusKeepsSmallTails) {
  EXPECT_EQ(LogisticOfMinus(0), 0.5);
  EXPECT_DOUBLE_EQ(LogisticOfMinus(50), std::exp(-50.0));
  EXPECT_EQ(LogisticOfMinus(std::numeric_limits<double>::infinity()), 0);
  EXPECT_EQ(LogisticOfMinus(-std::numeric_limits<double>::infinity()), 1);
}

}  // namespace
}  // namespace calserve
