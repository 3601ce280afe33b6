#include "server/prediction/traffic_split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"

namespace calserve {
namespace {

constexpr int kKeys = 20'000;

std::vector<int> CountShares(const std::string& model, const std::vector<int>& weights) {
  std::vector<int> counts(weights.size());
  for (int i = 0; i < kKeys; ++i) ++counts[PickShare(weights, RoutingHash(model, absl::StrCat("user-", i)))];
  return counts;
}

TEST(TrafficSplitTest, KeysFallIntoSharesByTheirWeights) {
  for (const int canary : {1, 5, 30, 50}) {
    const std::vector<int> counts = CountShares("pets", {100 - canary, canary});
    const double expected = kKeys * canary / 100.0;
    EXPECT_NEAR(counts[1], expected, 5 * std::sqrt(expected)) << canary << " %";
  }
}

TEST(TrafficSplitTest, AWeightOfZeroGetsNothing) {
  EXPECT_EQ(CountShares("pets", {0, 7})[0], 0);
  EXPECT_EQ(CountShares("pets", {7, 0})[1], 0);
}

TEST(TrafficSplitTest, TheLargestHashFallsIntoTheLastShare) {
  EXPECT_EQ(PickShare({1, 1'000'000}, UINT64_MAX), 1u);
  EXPECT_EQ(PickShare({1'000'000, 0}, UINT64_MAX), 0u);
  EXPECT_EQ(PickShare({1, 1}, 0), 0u);
}

TEST(TrafficSplitTest, AGrowingShareKeepsItsKeys) {
  for (int i = 0; i < kKeys; ++i) {
    const uint64_t hash = RoutingHash("pets", absl::StrCat(i));
    if (PickShare({95, 5}, hash) == 1) {
      ASSERT_EQ(PickShare({80, 20}, hash), 1u) << i;
    }
  }
}

TEST(TrafficSplitTest, ModelsAreSplitIndependently) {
  int both = 0;
  for (int i = 0; i < kKeys; ++i) {
    const std::string key = absl::StrCat("user-", i);
    both +=
        PickShare({1, 1}, RoutingHash("cats", key)) == 1 && PickShare({1, 1}, RoutingHash("dogs", key)) == 1;
  }
  EXPECT_NEAR(both, kKeys / 4.0, 5 * std::sqrt(kKeys / 4.0));
}

TEST(TrafficSplitTest, AHashIsTheSameEverywhereForEver) {
  EXPECT_NE(RoutingHash("pets", "user-1"), RoutingHash("pet", "suser-1"));
  EXPECT_EQ(RoutingHash("pets", "user-1"), 5453001629295218006u);
}

}  // namespace
}  // namespace calserve
