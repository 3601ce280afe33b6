#include "calibration/metrics/estimate.h"

#include <algorithm>
#include <cmath>

namespace calserve {
namespace {

// What subtracting the square of a mean leaves of equal numbers, relative to their squares.
constexpr double kRounding = 1e-14;

}  // namespace

Estimate WilsonEstimate(int64_t right, int64_t n) {
  if (n == 0) return {};
  const double rows = static_cast<double>(n);
  return WilsonOfShare(static_cast<double>(right) / rows, rows);
}

Estimate WilsonOfShare(double p, double rows) {
  if (!(rows > 0)) return {p};
  const double z2 = kNormalQuantile * kNormalQuantile;
  const double centre = (p + z2 / (2 * rows)) / (1 + z2 / rows);
  const double half =
      kNormalQuantile * std::sqrt(p * (1 - p) / rows + z2 / (4 * rows * rows)) / (1 + z2 / rows);
  return {p, std::clamp(centre - half, 0.0, p), std::clamp(centre + half, p, 1.0)};
}

Estimate NormalEstimate(double value, double standard_error) {
  return {value, value - kNormalQuantile * standard_error, value + kNormalQuantile * standard_error};
}

Estimate MeanEstimate::Get() const {
  if (n_ == 0) return {};
  const double n = static_cast<double>(n_), mean = sum_ / n;
  const double spread = squares_ / n - mean * mean;
  if (!(spread > kRounding * squares_ / n)) return {mean};
  return NormalEstimate(mean, std::sqrt(spread / (n - 1)));
}

}  // namespace calserve
