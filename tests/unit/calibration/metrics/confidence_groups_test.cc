#include "calibration/metrics/confidence_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/unit/calibration/metrics/metrics_testing.h"
#include "tests/unit/calibration/test_util.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ConfidenceGroupsTest, RowsOfEqualConfidenceAreOneGroup) {
  EXPECT_THAT(*GroupByConfidence({0.5f, 0.25f, 0.5f, 1.0f, 0.5f}, {1, 0, 0, 1, 1}),
              ElementsAre(ConfidenceGroup{0.25, 1, 0}, ConfidenceGroup{0.5, 3, 2}, ConfidenceGroup{1, 1, 1}));
  EXPECT_THAT(*GroupByConfidence({}, {}), IsEmpty());
}

TEST(ConfidenceGroupsTest, NoOrderOfTheRowsIsSeen) {
  TopLabelRows data = RandomTopLabel(500, Calibrated, 1);
  for (float& c : data.confidences) c = std::round(c * 50) / 50;
  const std::vector<ConfidenceGroup> groups = data.Groups();
  std::mt19937 generator(2);
  for (size_t i = data.confidences.size() - 1; i > 0; --i) {
    const size_t j = generator() % (i + 1);
    std::swap(data.confidences[i], data.confidences[j]);
    std::swap(data.correct[i], data.correct[j]);
  }
  EXPECT_EQ(data.Groups(), groups);
}

TEST(ConfidenceGroupsTest, MergingTwoSetsIsGroupingAllTheirRows) {
  TopLabelRows a = RandomTopLabel(300, Calibrated, 3), b = RandomTopLabel(200, Calibrated, 4);
  for (TopLabelRows* rows : {&a, &b}) {
    for (float& c : rows->confidences) c = std::round(c * 20) / 20;
  }
  const std::vector<ConfidenceGroup> merged = MergeGroups(a.Groups(), b.Groups());
  EXPECT_EQ(CountRows(merged), 500);
  EXPECT_EQ(merged, MergeGroups(b.Groups(), a.Groups()));
  EXPECT_EQ(MergeGroups(a.Groups(), {}), a.Groups());
  a.confidences.insert(a.confidences.end(), b.confidences.begin(), b.confidences.end());
  a.correct.insert(a.correct.end(), b.correct.begin(), b.correct.end());
  EXPECT_EQ(merged, a.Groups());
}

TEST(ConfidenceGroupsTest, ABadValueIsNamed) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  ExpectError(GroupByConfidence({0.5f, nan}, {1, 1}), absl::StatusCode::kInvalidArgument,
              "confidence of row 1 must be in [0, 1]; was nan");
  ExpectError(GroupByConfidence({1.5f}, {1}), absl::StatusCode::kInvalidArgument, "row 0");
  ExpectError(GroupByConfidence({0.5f}, {2}), absl::StatusCode::kInvalidArgument, "must be 0 or 1; was 2");
  ExpectError(GroupByConfidence({0.5f}, {}), absl::StatusCode::kInvalidArgument, "have 1 and 0");
}

}  // namespace
}  // namespace calserve
