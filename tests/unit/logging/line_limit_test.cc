#include "server/logging/line_limit.h"

#include <gtest/gtest.h>

#include <optional>

namespace calserve {
namespace {

TEST(LineLimitTest, LetsSoManyThroughInASecondAndCountsTheOthers) {
  LineLimit limit(2);
  const absl::Time now = absl::FromUnixSeconds(1000);
  EXPECT_EQ(limit.Take(now), std::optional<int64_t>(0));
  EXPECT_EQ(limit.Take(now), std::optional<int64_t>(0));
  for (int i = 0; i < 40; ++i) EXPECT_EQ(limit.Take(now + absl::Milliseconds(i)), std::nullopt);
  EXPECT_EQ(limit.Take(now + absl::Seconds(1)), std::optional<int64_t>(40));
  EXPECT_EQ(limit.Take(now + absl::Seconds(1)), std::optional<int64_t>(0));
  EXPECT_EQ(limit.Take(now + absl::Seconds(1)), std::nullopt);
}

}  // namespace
}  // namespace calserve
