#include "server/feedback/half_float.h"

#include <bit>
#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::IsEmpty;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The value of a half from its fields: (-1)^sign · 2^(exponent - 15) · 1.mantissa, or 2^-14 · 0.mantissa.
double ValueOf(uint16_t half) {
  const double sign = half & 0x8000 ? -1 : 1;
  const int exponent = (half >> 10) & 31, mantissa = half & 1023;
  if (exponent == 31) return mantissa == 0 ? sign * kInfinity : std::numeric_limits<double>::quiet_NaN();
  return exponent == 0 ? sign * std::ldexp(mantissa, -24) : sign * std::ldexp(1024 + mantissa, exponent - 25);
}

TEST(HalfFloatTest, EveryHalfHasItsValueAndComesBack) {
  for (int bits = 0; bits < 65536; ++bits) {
    const uint16_t half = static_cast<uint16_t>(bits);
    const double value = ValueOf(half);
    const float converted = HalfToFloat(half);
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(converted)) << bits;
      ASSERT_TRUE(std::isnan(HalfToFloat(FloatToHalf(converted)))) << bits;
      continue;
    }
    ASSERT_EQ(converted, value) << bits;
    ASSERT_EQ(std::signbit(converted), std::signbit(value)) << bits;
    const uint16_t back = std::isinf(value) ? static_cast<uint16_t>((half & 0x8000) | 0x7bff) : half;
    ASSERT_EQ(FloatToHalf(converted), back) << bits;
  }
}

TEST(HalfFloatTest, RoundsToTheNearestAndTiesToEven) {
  for (int bits = 0; bits < 0x7bff; ++bits) {
    const float low = HalfToFloat(static_cast<uint16_t>(bits)),
                high = HalfToFloat(static_cast<uint16_t>(bits + 1));
    const float middle = low + (high - low) / 2;  // exact: a float has 13 bits more
    const int even = bits % 2 == 0 ? bits : bits + 1;
    for (const int sign : {0, 0x8000}) {
      const float s = sign == 0 ? 1.0f : -1.0f;
      ASSERT_EQ(FloatToHalf(s * middle), sign | even) << bits;
      ASSERT_EQ(FloatToHalf(s * std::nextafter(middle, 0.0f)), sign | bits) << bits;
      ASSERT_EQ(FloatToHalf(s * std::nextafter(middle, kInfinity)), sign | (bits + 1)) << bits;
    }
  }
}

TEST(HalfFloatTest, ClampsWhatIsTooLarge) {
  for (const float value :
       {65504.0f, 65519.0f, 65520.0f, 1e9f, std::numeric_limits<float>::max(), kInfinity}) {
    EXPECT_EQ(HalfToFloat(FloatToHalf(value)), 65504.0f);
    EXPECT_EQ(HalfToFloat(FloatToHalf(-value)), -65504.0f);
  }
}

TEST(HalfFloatTest, TinyValuesBecomeZeroOfTheirSign) {
  for (const float value : {std::ldexp(1.0f, -26), std::numeric_limits<float>::denorm_min()}) {
    EXPECT_EQ(FloatToHalf(value), 0);
    EXPECT_EQ(FloatToHalf(-value), 0x8000);
  }
}

TEST(LogitsTest, TheLargestComesBackExactlyAndTheOthersNearly) {
  TicketContent content;
  SetLogits({1.25f, 12.3456789f, -3.21f, -1e30f}, content);
  EXPECT_EQ(content.classes, 4);
  EXPECT_EQ(content.max_logit, 12.3456789f);
  EXPECT_THAT(Logits(content), ElementsAre(FloatNear(1.25f, 0.004f), 12.3456789f, FloatNear(-3.21f, 0.004f),
                                           12.3456789f - 65504.0f));
}

TEST(LogitsTest, NoneGiveNone) {
  EXPECT_THAT(Logits(TicketContent{.max_logit = 3, .classes = 4}), IsEmpty());
}

}  // namespace
}  // namespace calserve
