#include "calibration/metrics/auroc.h"

#include <gtest/gtest.h>

#include "tests/unit/calibration/metrics/metrics_testing.h"

namespace calserve {
namespace {

TEST(AurocTest, TiesCountHalf) {
  EXPECT_EQ(ConfidenceAuroc(*GroupByConfidence({0.5f, 0.5f}, {1, 0}))->value, 0.5);
  // Pairs: (.9, .5) wins, (.9, .9) ties, (.5, .5) ties, (.5, .9) loses.
  EXPECT_EQ(ConfidenceAuroc(*GroupByConfidence({0.9f, 0.5f, 0.9f, 0.5f}, {1, 1, 0, 0}))->value, 0.5);
}

TEST(AurocTest, IsUnsetWhereAllAreAlike) {
  EXPECT_FALSE(ConfidenceAuroc({}).has_value());
  EXPECT_FALSE(ConfidenceAuroc(*GroupByConfidence({0.5f, 0.6f}, {1, 1})).has_value());
  EXPECT_FALSE(ConfidenceAuroc(*GroupByConfidence({0.5f, 0.6f}, {0, 0})).has_value());
}

TEST(AurocTest, SeparationThatIsPerfectHasNoInterval) {
  const auto found = ConfidenceAuroc(*GroupByConfidence({0.1f, 0.2f, 0.8f, 0.9f}, {0, 0, 1, 1}));
  EXPECT_EQ(found->value, 1);
  EXPECT_FALSE(found->low.has_value());
}

TEST(AurocTest, TheIntervalCovers) {
  const double truth = ConfidenceAuroc(RandomTopLabel(400'000, Calibrated, 1).Groups())->value;
  int covered = 0;
  for (int seed = 0; seed < 400; ++seed) {
    const Estimate found = *ConfidenceAuroc(RandomTopLabel(500, Calibrated, seed + 10).Groups());
    covered += *found.low <= truth && truth <= *found.high ? 1 : 0;
  }
  EXPECT_GE(covered, 0.92 * 400);
  EXPECT_LE(covered, 0.98 * 400);
}

}  // namespace
}  // namespace calserve
