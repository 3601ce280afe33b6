#include "calibration/metrics/smooth_ece.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/calibration/metrics/metrics_testing.h"

namespace calserve {
namespace {

double MeanGap(const std::vector<ConfidenceGroup>& groups) {
  double sum = 0;
  for (const ConfidenceGroup& group : groups) {
    sum += static_cast<double>(group.correct) - static_cast<double>(group.count) * group.confidence;
  }
  return std::abs(sum) / static_cast<double>(CountRows(groups));
}

TEST(SmoothEceTest, IsTheMeanGapWhereTheSmoothedResidualKeepsOneSign) {
  for (const double bandwidth : {0.001, 0.01, 0.1, 1.0}) {
    // Every row wrong: no residual above 0.
    const auto wrong = RandomTopLabel(
                           400, [](double) { return 0.0; }, 1)
                           .Groups();
    EXPECT_NEAR(SmoothEceAt(wrong, bandwidth), MeanGap(wrong), 1e-12) << bandwidth;
    const auto right = RandomTopLabel(
                           400, [](double) { return 1.0; }, 2)
                           .Groups();
    EXPECT_NEAR(SmoothEceAt(right, bandwidth), MeanGap(right), 1e-12) << bandwidth;
  }
  // Overconfident throughout, so that smoothing over the answer's width leaves no other sign.
  const auto too_sure = RandomTopLabel(
                            3000, [](double c) { return 0.7 * c; }, 3)
                            .Groups();
  EXPECT_NEAR(SmoothEce(too_sure), MeanGap(too_sure), 1e-12);
}

// The kernel keeps its mass inside [0, 1], also that of a confidence at the end; relplot loses half of that.
TEST(SmoothEceTest, CountsARowAtTheEndInFull) {
  const auto groups = *GroupByConfidence({1.0f, 1.0f, 1.0f, 1.0f}, {1, 1, 0, 0});
  EXPECT_NEAR(SmoothEce(groups), 0.5, 1e-12);
  const auto lowest = *GroupByConfidence({0.0f, 0.0f}, {1, 0});
  EXPECT_NEAR(SmoothEceAt(lowest, 0.01), 0.5, 1e-12);
}

// Two atoms of opposite residual: the integral of |phi(t - 1/4) - phi(t - 3/4)| / 8 over [0, 1], mirrored; at
// a small bandwidth the atoms do not meet.
TEST(SmoothEceTest, OppositeResidualsAddUpWhereTheyDoNotMeet) {
  const auto groups = *GroupByConfidence({0.25f, 0.75f}, {1, 0});
  EXPECT_NEAR(SmoothEceAt(groups, 0.01), 0.75, 1e-12);
  EXPECT_LT(SmoothEceAt(groups, 1), 0.01);
  // At sigma they overlap by twice the tail beyond the middle, but for images.
  EXPECT_NEAR(SmoothEceAt(groups, 0.1), 0.75 * (1 - std::erfc(0.25 / 0.1 / std::sqrt(2))), 1e-5);
}

TEST(SmoothEceTest, FallsAsTheBandwidthGrowsAndEndsInItsFixedPoint) {
  const auto groups = RandomTopLabel(
                          800, [](double c) { return c - 0.05 * std::sin(20 * c); }, 4)
                          .Groups();
  double last = 1;
  for (double bandwidth = 0.001; bandwidth < 1; bandwidth *= 1.4) {
    const double found = SmoothEceAt(groups, bandwidth);
    EXPECT_LE(found, last + 1e-9) << bandwidth;
    EXPECT_GE(found, MeanGap(groups) - 1e-12);
    last = found;
  }
  const double found = SmoothEce(groups);
  EXPECT_NEAR(SmoothEceAt(groups, found), found, 1e-9);
}

TEST(SmoothEceTest, ZeroForNoRowsAndForCertaintyThatIsRight) {
  EXPECT_EQ(SmoothEce({}), 0);
  EXPECT_EQ(SmoothEceAt({}, 0.1), 0);
  EXPECT_EQ(SmoothEce(*GroupByConfidence({1.0f, 1.0f, 0.0f}, {1, 1, 0})), 0);
}

}  // namespace
}  // namespace calserve
