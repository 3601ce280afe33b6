#include "calibration/temperature_fit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "calibration/metrics.h"
#include "tests/unit/calibration/test_util.h"

namespace calserve {
namespace {

using Bound = TemperatureFit::Bound;

TemperatureFit Fit(const Labelled& data) {
  return FitTemperature(data.rows(), [] { return true; });
}

// Mean -log softmax(z / T)[y], computed plainly.
double MeanNll(const Labelled& data, double temperature) {
  double sum = 0;
  for (int64_t i = 0; i < data.size(); ++i) {
    double partition = 0;
    const float* z = &data.logits[i * data.columns];
    for (int k = 0; k < data.columns; ++k) partition += std::exp((z[k] - z[data.labels[i]]) / temperature);
    sum += std::log(partition);
  }
  return sum / static_cast<double>(data.size());
}

TEST(TemperatureFitTest, FindsTheTemperatureThatDrewTheLabels) {
  for (const double temperature : {0.3, 1.0, 2.5}) {
    const TemperatureFit fit = Fit(RandomLabelled(20'000, 5, temperature, 1));
    EXPECT_TRUE(fit.converged);
    EXPECT_EQ(fit.bound, Bound::kNone);
    EXPECT_NEAR(fit.temperature / temperature, 1, 0.04);
  }
}

TEST(TemperatureFitTest, IsAMinimumOfTheLikelihood) {
  for (int seed = 0; seed < 50; ++seed) {
    const int classes = 2 + seed % 9;
    const Labelled data = RandomLabelled(40 + 10 * seed, classes, std::exp2(seed % 7 - 2), seed);
    const TemperatureFit fit = Fit(data);
    ASSERT_TRUE(fit.converged);
    if (fit.bound != Bound::kNone) continue;
    const double best = MeanNll(data, fit.temperature);
    EXPECT_LE(best, MeanNll(data, fit.temperature * 1.001));
    EXPECT_LE(best, MeanNll(data, fit.temperature / 1.001));
    EXPECT_LE(fit.iterations, 15);
  }
}

TEST(TemperatureFitTest, DoesNotDependOnTheOrderOfRows) {
  for (const int rows : {300, 9000}) {  // the larger starts from a sample, which the order changes
    const Labelled data = RandomLabelled(rows, 6, 1.8, 2);
    const double expected = Fit(data).temperature;
    for (int seed = 0; seed < 5; ++seed)
      EXPECT_NEAR(Fit(Shuffled(data, seed)).temperature / expected, 1, 1e-9);
  }
}

TEST(TemperatureFitTest, DoesNotDependOnAConstantAddedToARow) {
  const Labelled data = RandomLabelled(300, 6, 1.8, 3);
  EXPECT_EQ(Fit(Shifted(data)).temperature, Fit(data).temperature);
}

TEST(TemperatureFitTest, ScalesWithTheLogits) {
  Labelled data = RandomLabelled(300, 4, 1.5, 4);
  const double expected = Fit(data).temperature;
  for (float& z : data.logits) z *= 16;
  EXPECT_NEAR(Fit(data).temperature / (16 * expected), 1, 1e-9);
}

TEST(TemperatureFitTest, StopsAtTheLowestTemperatureWhenEveryLabelIsALargestLogit) {
  const TemperatureFit fit = Fit({2, {1, 0, 0, 3, 2, 2}, {0, 1, 1}});
  EXPECT_EQ(fit.bound, Bound::kLow);
  EXPECT_EQ(fit.temperature, kMinFittedTemperature);
  EXPECT_TRUE(fit.converged);
}

TEST(TemperatureFitTest, StopsAtTheHighestTemperatureWhenLabelsAreTheSmallestLogits) {
  const TemperatureFit fit = Fit({2, {1, 0, 0, 3}, {1, 0}});
  EXPECT_EQ(fit.bound, Bound::kHigh);
  EXPECT_EQ(fit.temperature, kMaxFittedTemperature);
}

TEST(TemperatureFitTest, StopsAtABoundWhenTheMinimumIsBeyondIt) {
  Labelled data = RandomLabelled(300, 4, 1.5, 5);
  for (float& z : data.logits) z *= 1024;
  EXPECT_EQ(Fit(data).bound, Bound::kHigh);
  for (float& z : data.logits) z *= 0x1p-20f;
  EXPECT_EQ(Fit(data).bound, Bound::kLow);
}

TEST(TemperatureFitTest, TakesOneWhenAllLogitsOfEachRowAreEqual) {
  const TemperatureFit fit = Fit({3, {5, 5, 5, -1, -1, -1}, {0, 2}});
  EXPECT_EQ(fit.bound, Bound::kNoData);
  EXPECT_EQ(fit.temperature, 1);
}

TEST(TemperatureFitTest, NeedsNoRows) {
  const TemperatureFit fit = Fit({3, {}, {}});
  EXPECT_EQ(fit.bound, Bound::kNoData);
  EXPECT_EQ(fit.temperature, 1);
}

// 99 rows are right by a margin of 10; one is wrong by 0.01. In log beta the likelihood is flat for long and
// then steep: Newton's steps alone creep.
TEST(TemperatureFitTest, ConvergesOnAlmostSeparableData) {
  Labelled data{2, {}, {}};
  for (int i = 0; i < 99; ++i) {
    data.logits.insert(data.logits.end(), {10, 0});
    data.labels.push_back(0);
  }
  data.logits.insert(data.logits.end(), {0.01f, 0});
  data.labels.push_back(1);
  const TemperatureFit fit = Fit(data);
  EXPECT_TRUE(fit.converged);
  EXPECT_EQ(fit.bound, Bound::kNone);
  EXPECT_LE(fit.iterations, 25);
  const double best = MeanNll(data, fit.temperature);
  EXPECT_LE(best, MeanNll(data, fit.temperature * 1.01));
  EXPECT_LE(best, MeanNll(data, fit.temperature / 1.01));
}

TEST(TemperatureFitTest, ConvergesOnHugeLogits) {
  Labelled data{2, {}, {}};
  for (int i = 0; i < 100; ++i) {
    data.logits.insert(data.logits.end(), {1e4, -1e4});
    data.labels.push_back(i < 90 ? 0 : 1);
  }
  const TemperatureFit fit = Fit(data);  // the minimum is T = 2e4 / log(9), far beyond the bound
  EXPECT_EQ(fit.bound, Bound::kHigh);
  EXPECT_EQ(fit.temperature, kMaxFittedTemperature);
}

TEST(TemperatureFitTest, StopsWhenAskedTo) {
  const Labelled data = RandomLabelled(300, 6, 1.8, 6);
  int asked = 0;
  const TemperatureFit fit = FitTemperature(data.rows(), [&] { return ++asked < 2; });
  EXPECT_TRUE(fit.cancelled);
  EXPECT_EQ(asked, 2);
}

}  // namespace
}  // namespace calserve
