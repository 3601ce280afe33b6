#include "server/feedback/half_float.h"

#include <algorithm>
#include <bit>
#include <cstddef>

namespace calserve {
namespace {

constexpr int32_t kMaxHalf = std::bit_cast<int32_t>(65504.0f);

// Both are computed and one is taken, without a branch, so that loops over them vectorise. Signed integers:
// the oldest x86-64 machines compare no others in vectors.
inline int32_t Select(bool condition, int32_t yes, int32_t no) {
  const int32_t mask = -static_cast<int32_t>(condition);
  return (yes & mask) | (no & ~mask);
}

inline uint16_t ToHalf(float value) {
  const int32_t bits = std::bit_cast<int32_t>(value);
  const int32_t sign = (bits >> 16) & 0x8000;
  const int32_t magnitude = bits & 0x7fffffff;
  const int32_t clamped = Select(magnitude < kMaxHalf, magnitude, kMaxHalf);
  // Below 2^-14 the half is subnormal: adding 0.5 leaves its 10 bits, rounded, at the end of the float's
  // mantissa.
  const int32_t subnormal =
      std::bit_cast<int32_t>(std::bit_cast<float>(clamped) + 0.5f) - std::bit_cast<int32_t>(0.5f);
  // Otherwise rebias the exponent from 127 to 15 and round away 13 bits, ties to even.
  const int32_t odd = (clamped >> 13) & 1;
  const int32_t normal = (clamped - (112 << 23) + 0xfff + odd) >> 13;
  const int32_t finite = Select(clamped < (113 << 23), subnormal, normal);
  return static_cast<uint16_t>(sign | Select(magnitude > 0x7f800000, 0x7e00, finite));
}

inline float ToFloat(uint16_t half) {
  const int32_t sign = static_cast<int32_t>((half & 0x8000u) << 16);
  const int32_t magnitude = (half & 0x7fff) << 13;
  const int32_t normal = magnitude + (112 << 23);
  const int32_t special = magnitude + (224 << 23);  // infinity and NaN
  // A subnormal half is 2^-14 too small to have the hidden bit: put the bit in, then subtract it.
  const int32_t subnormal =
      std::bit_cast<int32_t>(std::bit_cast<float>(magnitude + (113 << 23)) - std::bit_cast<float>(113 << 23));
  const int32_t finite = Select(magnitude < (1 << 23), subnormal, normal);
  return std::bit_cast<float>(sign | Select(magnitude >= (31 << 23), special, finite));
}

// The largest of at least one value. Four chains, so that one comparison need not wait for the one before.
float MaxOf(absl::Span<const float> values) {
  float a = values[0], b = a, c = a, d = a;
  size_t k = 0;
  for (; k + 4 <= values.size(); k += 4) {
    a = std::max(a, values[k]);
    b = std::max(b, values[k + 1]);
    c = std::max(c, values[k + 2]);
    d = std::max(d, values[k + 3]);
  }
  for (; k < values.size(); ++k) a = std::max(a, values[k]);
  return std::max({a, b, c, d});
}

}  // namespace

uint16_t FloatToHalf(float value) { return ToHalf(value); }

float HalfToFloat(uint16_t bits) { return ToFloat(bits); }

void SetLogits(absl::Span<const float> logits, TicketContent& content) {
  content.classes = static_cast<int32_t>(logits.size());
  content.max_logit = logits.empty() ? 0 : MaxOf(logits);
  content.logits_fp16.resize(logits.size());
  const float max = content.max_logit;
  std::transform(logits.begin(), logits.end(), content.logits_fp16.begin(),
                 [max](float logit) { return ToHalf(logit - max); });
}

std::vector<float> Logits(const TicketContent& content) {
  std::vector<float> logits(content.logits_fp16.size());
  std::transform(content.logits_fp16.begin(), content.logits_fp16.end(), logits.begin(),
                 [max = content.max_logit](uint16_t half) { return max + ToFloat(half); });
  return logits;
}

}  // namespace calserve
