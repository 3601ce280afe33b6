#include "calibration/window_state.h"

#include <gtest/gtest.h>

#include "calibration/metrics_accumulator.h"
#include "tests/unit/calibration/test_util.h"
#include "tests/unit/calibration/window_test_util.h"

namespace calserve {
namespace {

class Sums {
 public:
  explicit Sums(int bins) : edges(bins), integers(bins) {}
  void Add(const WindowLabel& label) { integers.Add(ScoreUnits(PackedScore::From(label.served), edges)); }
  CalibrationMetrics Metrics() const { return MetricsFromSums(integers.ToMetricsSums()); }

  BinEdges edges;
  IntegerSums integers;
};

TEST(IntegerSumsTest, MergingTwoIsOnePassOverBothExactly) {
  LabelStream stream(7);
  Sums one(15), other(15), all(15);
  for (int i = 0; i < 2000; ++i) {
    const WindowLabel label = stream.Next();
    (i % 3 == 0 ? one : other).Add(label);
    all.Add(label);
  }
  Sums backwards(15);
  ASSERT_TRUE(backwards.integers.Merge(other.integers).ok());
  ASSERT_TRUE(backwards.integers.Merge(one.integers).ok());
  ASSERT_TRUE(one.integers.Merge(other.integers).ok());
  ExpectSameMetrics(one.Metrics(), all.Metrics());
  ExpectSameMetrics(backwards.Metrics(), all.Metrics());
}

TEST(IntegerSumsTest, EdgesThatDifferAreRefusedAndNothingIsMerged) {
  LabelStream stream(8);
  Sums one(15), other(10);
  one.Add(stream.Next());
  other.Add(stream.Next());
  ExpectError(one.integers.Merge(other.integers), absl::StatusCode::kInvalidArgument, "have 15 and 10 bins");
  EXPECT_EQ(one.Metrics().n, 1);
}

TEST(IntegerSumsTest, MergingNothingChangesNothing) {
  Sums one(15);
  ASSERT_TRUE(one.integers.Merge(Sums(15).integers).ok());
  EXPECT_EQ(one.Metrics().n, 0);
}

}  // namespace
}  // namespace calserve
