#include "server/feedback/half_float.h"

#include <algorithm>
#include <bit>
#include <cstddef>

namespace calserve {
namespace {

constexpr float kMaxHalf = 65504.0f;

inline uint16_t ToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  const uint32_t clamped = std::min(magnitude, std::bit_cast<uint32_t>(kMaxHalf));
  // Below 2^-14 the half is subnormal: adding 0.5 leaves its 10 bits, rounded, at the end of the float's
  // mantissa.
  const uint32_t subnormal =
      std::bit_cast<uint32_t>(std::bit_cast<float>(clamped) + 0.5f) - std::bit_cast<uint32_t>(0.5f);
  // Otherwise rebias the exponent from 127 to 15 and round away 13 bits, ties to even.
  const uint32_t odd = (clamped >> 13) & 1u;
  const uint32_t normal = (clamped - (112u << 23) + 0xfffu + odd) >> 13;
  const uint32_t finite = clamped < (113u << 23) ? subnormal : normal;
  const uint32_t half = magnitude > 0x7f800000u ? 0x7e00u : finite;
  return static_cast<uint16_t>(sign | half);
}

inline float ToFloat(uint16_t half) {
  const uint32_t sign = (half & 0x8000u) << 16;
  const uint32_t magnitude = (half & 0x7fffu) << 13;
  const uint32_t normal = magnitude + (112u << 23);
  const uint32_t special = magnitude + (224u << 23);  // infinity and NaN
  // A subnormal half is 2^-14 too small to have the hidden bit: put the bit in, then subtract it.
  const uint32_t subnormal = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude + (113u << 23)) -
                                                     std::bit_cast<float>(113u << 23));
  const uint32_t small = magnitude < (1u << 23) ? subnormal : normal;
  return std::bit_cast<float>(sign | (magnitude >= (31u << 23) ? special : small));
}

}  // namespace

uint16_t FloatToHalf(float value) { return ToHalf(value); }

float HalfToFloat(uint16_t bits) { return ToFloat(bits); }

void SetLogits(absl::Span<const float> logits, TicketContent& content) {
  content.classes = static_cast<int32_t>(logits.size());
  content.max_logit = logits.empty() ? 0 : *std::max_element(logits.begin(), logits.end());
  content.logits_fp16.resize(logits.size());
  const float max = content.max_logit;
  uint16_t* const out = content.logits_fp16.data();
  for (size_t k = 0; k < logits.size(); ++k) out[k] = ToHalf(logits[k] - max);
}

std::vector<float> Logits(const TicketContent& content) {
  std::vector<float> logits(content.logits_fp16.size());
  const float max = content.max_logit;
  for (size_t k = 0; k < logits.size(); ++k) logits[k] = max + ToFloat(content.logits_fp16[k]);
  return logits;
}

}  // namespace calserve
