#include "calibration/metrics/binned_errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/calibration/metrics/metrics_testing.h"

namespace calserve {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

std::vector<ReliabilityBin> EqualMass(const std::vector<float>& confidences,
                                      const std::vector<uint8_t>& correct, int bins) {
  return EqualMassBins(*GroupByConfidence(confidences, correct), bins);
}

std::vector<double> Uppers(const std::vector<ReliabilityBin>& bins) {
  std::vector<double> uppers;
  for (const ReliabilityBin& bin : bins) uppers.push_back(bin.upper);
  return uppers;
}

// uncertainty-calibration's util_test.py, test_get_equal_bins.
TEST(EqualMassBinsTest, BinsHoldTheRowsOfUncertaintyCalibrations) {
  const std::vector<float> p = {0.3f, 0.5f, 0.2f, 0.3f, 0.5f, 0.7f};
  const std::vector<uint8_t> y(6, 1);
  EXPECT_THAT(Uppers(EqualMass(p, y, 2)), ElementsAre(DoubleNear(0.4, 1e-6), 1));
  EXPECT_THAT(Uppers(EqualMass(p, y, 3)), ElementsAre(DoubleNear(0.4, 1e-6), DoubleNear(0.6, 1e-6), 1));
}

TEST(EqualMassBinsTest, TiesAreNeverSplit) {
  for (int bins = 1; bins <= 12; ++bins) {
    const std::vector<ReliabilityBin> found =
        EqualMass({0.1f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.9f}, {0, 1, 0, 1, 0, 1, 0, 1}, bins);
    double rows = 0;
    for (const ReliabilityBin& bin : found) {
      EXPECT_GT(bin.count, 0);
      if (bin.lower < 0.5 && 0.5 <= bin.upper) {
        EXPECT_GE(bin.count, 6) << bins;
      }
      rows += bin.count;
    }
    EXPECT_EQ(rows, 8);
    EXPECT_EQ(found.front().lower, 0);
    EXPECT_EQ(found.back().upper, 1);
  }
}

TEST(EqualMassBinsTest, PartsAreAsEqualAsCanBe) {
  const std::vector<ReliabilityBin> bins = EqualMassBins(RandomTopLabel(47, Calibrated, 5).Groups(), 5);
  std::vector<double> counts;
  for (const ReliabilityBin& bin : bins) counts.push_back(bin.count);
  EXPECT_THAT(counts, ElementsAre(10, 10, 9, 9, 9));
}

// uncertainty-calibration's util_test.py: p = [.1, .1, .7], a = [0, 1, 1], 2 bins.
TEST(BinnedErrorsTest, AdaptiveEceOfAClosedForm) {
  EXPECT_NEAR(ExpectedCalibrationError(EqualMass({0.1f, 0.1f, 0.7f}, {0, 1, 1}, 2)), 0.4 * 2 / 3 + 0.3 / 3,
              1e-7);
}

TEST(BinnedErrorsTest, EqualWidthIsTheEceOfEvaluateTopLabel) {
  const TopLabelRows data = RandomTopLabel(
      700, [](double c) { return c - 0.1; }, 6);
  const CalibrationMetrics metrics = *EvaluateTopLabel(data.confidences, data.correct, 15);
  const std::vector<ReliabilityBin> bins = EqualWidthBins(data.Groups(), 15);
  const Estimate ece = ExpectedCalibrationErrorWithInterval(bins);
  EXPECT_NEAR(ece.value, metrics.ece, 1e-12);
  EXPECT_NEAR(*ece.low, *metrics.ece_low, 1e-9);
  EXPECT_NEAR(*ece.high, *metrics.ece_high, 1e-9);
  EXPECT_NEAR(*MaximumCalibrationError(bins, 1), metrics.mce, 1e-12);
  for (size_t b = 0; b < bins.size(); ++b) {
    EXPECT_EQ(bins[b].lower, metrics.bins[b].lower);
    EXPECT_EQ(bins[b].upper, metrics.bins[b].upper);
    EXPECT_EQ(bins[b].count, metrics.bins[b].count);
  }
}

// scikit-learn's pull request 34261: weight 3 as repetition, 2 bins.
TEST(BinnedErrorsTest, RmsOfAClosedForm) {
  std::vector<float> p(4, 0.25f);
  p.insert(p.end(), 12, 0.75f);
  std::vector<uint8_t> y = {0, 0, 0, 1};
  y.insert(y.end(), 12, 1);
  const std::vector<ReliabilityBin> bins = EqualWidthBins(*GroupByConfidence(p, y), 2);
  EXPECT_NEAR(ExpectedCalibrationError(bins), 0.1875, 1e-12);
  EXPECT_NEAR(*MaximumCalibrationError(bins, 1), 0.25, 1e-12);
  EXPECT_NEAR(RmsCalibrationError(bins), 0.2165063, 1e-7);
}

TEST(BinnedErrorsTest, MceLeavesOutBinsOfTooFewRows) {
  const std::vector<ReliabilityBin> bins = {{0, 0.5, 2, 0.4, 1}, {0.5, 1, 100, 0.9, 0.8}, {1, 1, 0, 0, 0}};
  EXPECT_NEAR(*MaximumCalibrationError(bins, 1), 0.6, 1e-12);
  EXPECT_NEAR(*MaximumCalibrationError(bins, 3), 0.1, 1e-12);
  EXPECT_FALSE(MaximumCalibrationError(bins, 101).has_value());
}

TEST(BinnedErrorsTest, DebiasedL2TakesTheNoiseOff) {
  double debiased = 0, plug_in = 0;
  for (int seed = 0; seed < 200; ++seed) {
    const std::vector<ReliabilityBin> bins =
        EqualMassBins(RandomTopLabel(300, Calibrated, seed).Groups(), 15);
    plug_in += std::pow(RmsCalibrationError(bins), 2) / 200;
    // The mean of the square, before it is kept from being negative, is 0: its positive part is small.
    debiased += std::pow(DebiasedL2(bins).value, 2) / 200;
  }
  EXPECT_GT(plug_in, 0.005);
  EXPECT_LT(debiased, plug_in / 5);
}

TEST(BinnedErrorsTest, DebiasedL2OfBinsOfOneRowIsZero) {
  EXPECT_EQ(DebiasedL2(EqualMass({0.2f, 0.4f, 0.9f}, {1, 0, 0}, 3)).value, 0);
}

TEST(BinnedErrorsTest, TheIntervalOfDebiasedL2Covers) {
  const auto accuracy = [](double c) { return c - 0.1; };
  for (const bool calibrated : {true, false}) {
    int covered = 0;
    for (int seed = 0; seed < 400; ++seed) {
      const TopLabelRows data =
          calibrated ? RandomTopLabel(1000, Calibrated, seed) : RandomTopLabel(1000, accuracy, seed);
      const Estimate found = DebiasedL2(EqualMassBins(data.Groups(), 15));
      const double truth = calibrated ? 0 : 0.1;
      covered += *found.low <= truth && truth <= *found.high ? 1 : 0;
    }
    EXPECT_GE(covered, 0.92 * 400) << calibrated;
    EXPECT_LE(covered, 400);
  }
}

TEST(EceSweepTest, StopsBeforeAccuraciesFall) {
  // One bin: 1/2. Two: 1/2, 1/2. Three (2, 1, 1): 1/2, 1, 0: falls.
  const EceSweep found = SweepCalibrationError(*GroupByConfidence({0.1f, 0.3f, 0.6f, 0.9f}, {0, 1, 1, 0}));
  EXPECT_EQ(found.bins, 2);
  EXPECT_NEAR(found.value, (std::abs(1 - 0.4) + std::abs(1 - 1.5)) / 4, 1e-6);
}

TEST(EceSweepTest, EndsAtARowABinOrTheMostBins) {
  EXPECT_EQ(SweepCalibrationError(*GroupByConfidence({0.1f, 0.3f, 0.6f}, {0, 1, 1})).bins, 3);
  EXPECT_EQ(SweepCalibrationError(RandomTopLabel(
                                      3000, [](double) { return 1.0; }, 7)
                                      .Groups())
                .bins,
            kMaxBins);
  EXPECT_EQ(SweepCalibrationError({}).bins, 0);
}

TEST(BinnedErrorsTest, NoRowsHaveNoError) {
  EXPECT_TRUE(EqualMassBins({}, 15).empty());
  EXPECT_EQ(ExpectedCalibrationError({}), 0);
  EXPECT_EQ(RmsCalibrationError(EqualWidthBins({}, 15)), 0);
  EXPECT_EQ(DebiasedL2({}), Estimate());
  EXPECT_FALSE(MaximumCalibrationError({}, 1).has_value());
}

}  // namespace
}  // namespace calserve
