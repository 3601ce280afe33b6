#include "calibration/row_kernels.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace calserve {
namespace {

constexpr size_t kLanes = 4;

constexpr double kSmallest = -708.0;  // exp of it is still a normal number

// exp(x) = 2^k exp(r), |r| <= ln(2) / 2, with the rational approximation of Cephes (Moshier, `exp.c`):
// exp(r) = 1 + 2 r P(r^2) / (Q(r^2) - r P(r^2)).
inline double ExpOne(double x) {
  constexpr double kLog2E = 1.4426950408889634074;
  constexpr double kLn2High = 6.93145751953125e-1;  // k times it is exact
  constexpr double kLn2Low = 1.42860682030941723212e-6;
  constexpr double kRound = 0x1.8p52;  // adding it rounds to an integer, left in the low bits
  const double clamped = x < kSmallest ? kSmallest : x;
  const double shifted = clamped * kLog2E + kRound;
  const double k = shifted - kRound;
  const double r = (clamped - k * kLn2High) - k * kLn2Low;
  const double r2 = r * r;
  const double p = r * ((1.26177193074810590878e-4 * r2 + 3.02994407707441961300e-2) * r2 + 1.0);
  const double q =
      ((3.00198505138664455042e-6 * r2 + 2.52448340349684104192e-3) * r2 + 2.27265548208155028766e-1) * r2 +
      2.0;
  const double power = std::bit_cast<double>((std::bit_cast<uint64_t>(shifted) + 1023) << 52);  // 2^k
  const double result = (1.0 + 2.0 * (p / (q - p))) * power;
  return x < kSmallest ? 0.0 : result;
}

}  // namespace

void ExpOfNonPositive(absl::Span<double> values) {
  double* const x = values.data();
  const size_t n = values.size();
  for (size_t i = 0; i < n; ++i) x[i] = ExpOne(x[i]);
}

double Sum(absl::Span<const double> values) {
  double partial[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) partial[lane] += values[i + lane];
  }
  for (; i < values.size(); ++i) partial[0] += values[i];
  return (partial[0] + partial[1]) + (partial[2] + partial[3]);
}

double Max(absl::Span<const double> values) {
  double largest[kLanes];
  std::fill_n(largest, kLanes, values[0]);
  size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) largest[lane] = std::max(largest[lane], values[i + lane]);
  }
  for (; i < values.size(); ++i) largest[0] = std::max(largest[0], values[i]);
  return std::max(std::max(largest[0], largest[1]), std::max(largest[2], largest[3]));
}

}  // namespace calserve
