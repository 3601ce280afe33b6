#include "calibration/class_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "calibration/calibrator.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;

std::vector<int> Ordered(const std::vector<float>& probabilities, const std::vector<float>& logits) {
  std::vector<int> order(probabilities.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), MoreProbable<float>(probabilities, logits));
  return order;
}

TEST(ClassOrderTest, EqualProbabilitiesByTheLargerLogitThenByTheLowerIndex) {
  EXPECT_THAT(Ordered({0.1f, 0.5f, 0.4f}, {9, 0, 0}), ElementsAre(1, 2, 0));
  EXPECT_THAT(Ordered({0.2f, 0.4f, 0.4f}, {0, 1, 2}), ElementsAre(2, 1, 0));
  EXPECT_THAT(Ordered({0.25f, 0.25f, 0.25f, 0.25f}, {1, 2, 1, 2}), ElementsAre(1, 3, 0, 2));
}

TEST(ClassOrderTest, ASingleLogitIsThatOfClassOneAgainstZero) {
  EXPECT_THAT(Ordered({0.5f, 0.5f}, {0.1f}), ElementsAre(1, 0));
  EXPECT_THAT(Ordered({0.5f, 0.5f}, {0.0f}), ElementsAre(0, 1));
  EXPECT_THAT(Ordered({0.5f, 0.5f}, {-0.1f}), ElementsAre(0, 1));
}

TEST(ClassOrderTest, ThePredictedClassIsTheFirst) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 1000; ++trial) {
    std::vector<float> probabilities(5), logits(5);  // of few values: many ties
    for (float& p : probabilities) p = static_cast<float>(random() % 3) / 4.0f;
    for (float& z : logits) z = static_cast<float>(random() % 3);
    const std::vector<double> wide(logits.begin(), logits.end());
    const int first = Ordered(probabilities, logits).front();
    EXPECT_EQ(Calibrator::PredictedClass(probabilities, logits), first);
    EXPECT_EQ(Calibrator::PredictedClassFloat64(probabilities, wide), first);
  }
}

}  // namespace
}  // namespace calserve
