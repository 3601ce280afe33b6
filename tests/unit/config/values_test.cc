#include "server/config/values.h"

#include <gtest/gtest.h>

#include <limits>

namespace calserve {
namespace {

TEST(CountTest, TakesWholeNumbersOnly) {
  EXPECT_EQ(CountFromText("0"), 0);
  EXPECT_EQ(CountFromText("1024"), 1024);
  EXPECT_EQ(CountFromText("-1"), -1);
  for (const char* text :
       {"", " ", "1 ", " 1", "+1", "1.0", "1e3", "0x10", "ten", "9223372036854775808", "-"}) {
    EXPECT_EQ(CountFromText(text), std::nullopt) << text;
  }
}

TEST(DurationTest, TakesANumberWithItsUnit) {
  EXPECT_EQ(DurationFromText("0"), absl::ZeroDuration());
  EXPECT_EQ(DurationFromText("0s"), absl::ZeroDuration());
  EXPECT_EQ(DurationFromText("250ms"), absl::Milliseconds(250));
  EXPECT_EQ(DurationFromText("30s"), absl::Seconds(30));
  EXPECT_EQ(DurationFromText("1.5h"), absl::Minutes(90));
  EXPECT_EQ(DurationFromText("1h30m"), absl::Minutes(90));
  EXPECT_EQ(DurationFromText("14d"), absl::Hours(14 * 24));
}

TEST(DurationTest, RefusesWhatHasNoUnitOrIsNegative) {
  for (const char* text :
       {"", "30", "s", "-1s", "+1s", "inf", "1 s", "1w", "1d1h", "1.5d", "9999999999d", "30S"}) {
    EXPECT_EQ(DurationFromText(text), std::nullopt) << text;
  }
}

TEST(DurationTest, RoundTrips) {
  for (const char* text : {"0", "250ms", "30s", "1h30m", "36h", "1d", "14d"}) {
    EXPECT_EQ(DurationToText(*DurationFromText(text)), text);
  }
}

TEST(BytesTest, TakesBinaryUnits) {
  EXPECT_EQ(BytesFromText("0"), 0);
  EXPECT_EQ(BytesFromText("512"), 512);
  EXPECT_EQ(BytesFromText("512B"), 512);
  EXPECT_EQ(BytesFromText("64KiB"), 65536);
  EXPECT_EQ(BytesFromText("256MiB"), int64_t{256} << 20);
  EXPECT_EQ(BytesFromText("2GiB"), int64_t{2} << 30);
}

TEST(BytesTest, RefusesOtherUnitsNegativesAndOverflow) {
  for (const char* text : {"", "B", "MiB", "1KB", "1M", "1.5GiB", "-1", "-1MiB", "1 MiB", "9999999999GiB"}) {
    EXPECT_EQ(BytesFromText(text), std::nullopt) << text;
  }
}

TEST(BytesTest, RoundTripsInTheLargestUnitThatIsExact) {
  for (const char* text : {"0B", "1000B", "64KiB", "1536KiB", "256MiB", "1GiB"}) {
    EXPECT_EQ(BytesToText(*BytesFromText(text)), text);
  }
  EXPECT_EQ(BytesToText(1024), "1KiB");
}

}  // namespace
}  // namespace calserve
