#include <gtest/gtest.h>

#include <string>

#include "calibration/window_label.h"
#include "tests/unit/calibration/test_util.h"

namespace calserve {
namespace {

using Kind = WindowSpec::Kind;

TEST(WindowSpecTest, ParsesCountsDurationsAndHalfLives) {
  EXPECT_EQ(*WindowSpec::Parse("last_1000"), (WindowSpec{"last_1000", Kind::kLastCount, 1000, 0}));
  EXPECT_EQ(*WindowSpec::Parse("last_90s"), (WindowSpec{"last_90s", Kind::kLastDuration, 0, 90'000'000}));
  EXPECT_EQ(*WindowSpec::Parse("last_15m"), (WindowSpec{"last_15m", Kind::kLastDuration, 0, 900'000'000}));
  EXPECT_EQ(*WindowSpec::Parse("last_1h"), (WindowSpec{"last_1h", Kind::kLastDuration, 0, 3'600'000'000}));
  EXPECT_EQ(*WindowSpec::Parse("last_7d"), (WindowSpec{"last_7d", Kind::kLastDuration, 0, 604'800'000'000}));
  EXPECT_EQ(*WindowSpec::Parse("decay_1h"), (WindowSpec{"decay_1h", Kind::kDecay, 0, 3'600'000'000}));
}

TEST(WindowSpecTest, RefusesEverythingElse) {
  for (const std::string name : {"",
                                 "last",
                                 "last_",
                                 "last_0",
                                 "last_-1",
                                 "last_+1",
                                 "last_01",
                                 "last_1.5h",
                                 "last_1w",
                                 "last_h",
                                 "last_0h",
                                 "last_1h30m",
                                 "last_1000 ",
                                 " last_1000",
                                 "Last_1000",
                                 "decay_1000",
                                 "decay_",
                                 "first_10",
                                 "last_99999999999999999999",
                                 "last_99999999999999d",
                                 "last_36501d"}) {
    ExpectError(WindowSpec::Parse(name), absl::StatusCode::kInvalidArgument, "\"" + name + "\"");
  }
}

}  // namespace
}  // namespace calserve
