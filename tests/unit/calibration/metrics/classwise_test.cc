#include "calibration/metrics/classwise.h"

#include <gtest/gtest.h>

#include <vector>

namespace calserve {
namespace {

TEST(ClasswiseTest, IsTheMeanOverClassesOfTheirEce) {
  ClasswiseSums sums(3, 2, 0);
  sums.Add({0.75f, 0.25f, 0.0f}, 0);
  sums.Add({0.75f, 0.25f, 0.0f}, 1);
  // Class 0: |1 - 1.5| / 2; class 1: |1 - 0.5| / 2; class 2: 0.
  EXPECT_NEAR(sums.CalibrationError(), (0.25 + 0.25 + 0) / 3, 1e-12);
}

TEST(ClasswiseTest, AClassHasAReliabilityDiagramOfItsOwn) {
  ClasswiseSums sums(3, 2, 0);
  sums.Add({0.75f, 0.25f, 0.0f}, 0);
  sums.Add({0.25f, 0.75f, 0.0f}, 1);
  sums.Add({0.5f, 0.5f, 0.0f}, 0);
  const std::vector<ReliabilityBin> bins = sums.ReliabilityOf(0);
  ASSERT_EQ(bins.size(), 2u);
  EXPECT_EQ(bins[0].count, 2);
  EXPECT_NEAR(bins[0].confidence, 0.375, 1e-12);
  EXPECT_NEAR(bins[0].accuracy, 0.5, 1e-12);
  EXPECT_EQ(bins[1].lower, 0.5);
  EXPECT_EQ(bins[1].accuracy, 1);
  EXPECT_EQ(sums.labelled(0), 2);
  EXPECT_EQ(sums.labelled(2), 0);
}

TEST(ClasswiseTest, TheThresholdLeavesOutSmallProbabilities) {
  ClasswiseSums sums(3, 2, 0.5);
  sums.Add({0.75f, 0.25f, 0.0f}, 0);
  sums.Add({0.25f, 0.75f, 0.0f}, 0);
  // Class 0: |1 - 0.75| of one row; class 1: |0 - 0.75| of one row; class 2 has none.
  EXPECT_NEAR(sums.CalibrationError(), (0.25 + 0.75) / 2, 1e-12);
  EXPECT_EQ(ClasswiseSums(3, 2, 0.5).CalibrationError(), 0);
}

TEST(ClasswiseTest, BrierPartsSumAndNameWhatTheySay) {
  ClasswiseSums sums(2, 2, 0);
  const std::vector<std::vector<float>> rows = {
      {0.75f, 0.25f}, {0.875f, 0.125f}, {0.25f, 0.75f}, {0.25f, 0.75f}};
  const std::vector<int> labels = {0, 1, 1, 1};
  double brier = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    sums.Add(rows[i], labels[i]);
    for (int k = 0; k < 2; ++k)
      brier += (rows[i][k] - (labels[i] == k)) * (rows[i][k] - (labels[i] == k)) / 4;
  }
  const ClasswiseSums::BrierParts parts = sums.Decompose(brier);
  // Per class two bins of two rows: means .8125 against 1/2 and .25 against 0.
  EXPECT_NEAR(parts.calibration, 2 * (0.5 * 0.3125 * 0.3125 + 0.5 * 0.25 * 0.25), 1e-12);
  EXPECT_NEAR(parts.refinement, 2 * 0.5 * 0.25, 1e-12);
  EXPECT_NEAR(parts.uncertainty, 2 * 0.25 * 0.75, 1e-12);
  EXPECT_NEAR(parts.calibration + parts.refinement + parts.within_bins, brier, 1e-15);
  EXPECT_NEAR(parts.within_bins, 0.0664062, 1e-6);  // variance .0039, less twice the covariance -.03125
}

TEST(ClasswiseTest, WithinBinsIsZeroWhereABinHasOneProbability) {
  ClasswiseSums sums(2, 15, 0);
  for (int i = 0; i < 10; ++i) sums.Add({0.7f, 0.3f}, i < 6 ? 0 : 1);
  const double p = 0.7f, q = 0.3f;
  const double brier = 0.6 * ((1 - p) * (1 - p) + q * q) + 0.4 * (p * p + (1 - q) * (1 - q));
  EXPECT_NEAR(sums.Decompose(brier).within_bins, 0, 1e-12);
}

}  // namespace
}  // namespace calserve
