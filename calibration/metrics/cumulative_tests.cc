#include "calibration/metrics/cumulative_tests.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace calserve {
namespace {

constexpr double kPi = std::numbers::pi;
constexpr int kTerms = 40;  // either series of a tail has converged before
constexpr double kSmall = 1.5;

double NormalTail(double x) { return std::erfc(x / std::numbers::sqrt2) / 2; }

struct Walk {
  double highest = 0, lowest = 0, deviation = 0;
};

Walk WalkOf(absl::Span<const ConfidenceGroup> groups) {
  Walk walk;
  double sum = 0, variance = 0;
  for (const ConfidenceGroup& group : groups) {
    const double count = static_cast<double>(group.count);
    sum += static_cast<double>(group.correct) - count * group.confidence;
    variance += count * group.confidence * (1 - group.confidence);
    walk.highest = std::max(walk.highest, sum);
    walk.lowest = std::min(walk.lowest, sum);
  }
  walk.deviation = std::sqrt(variance);
  return walk;
}

CalibrationTestResult Test(double distance, double deviation, double (*tail)(double)) {
  if (distance == 0) return {0, 1};
  if (deviation == 0) return {std::nullopt, 0};  // an impossible row
  const double statistic = distance / deviation;
  return {statistic, tail(statistic)};
}

}  // namespace

double BrownianMaximumTail(double x) {
  if (x <= 0) return 1;
  double sum = 0;
  if (x < kSmall) {
    for (int k = 0; k < kTerms; ++k) {
      const double odd = 2 * k + 1;
      sum += (k % 2 == 0 ? 1 : -1) / odd * std::exp(-odd * odd * kPi * kPi / (8 * x * x));
    }
    return std::clamp(1 - 4 / kPi * sum, 0.0, 1.0);
  }
  for (int k = 0; k < kTerms; ++k) sum += (k % 2 == 0 ? 4 : -4) * NormalTail((2 * k + 1) * x);
  return std::clamp(sum, 0.0, 1.0);
}

double BrownianRangeTail(double x) {
  if (x <= 0) return 1;
  double sum = 0;
  if (x < kSmall) {
    for (int k = 0; k < kTerms; ++k) {
      const double half = k + 0.5;
      sum += (8 / (x * x) + 2 / (half * half * kPi * kPi)) * std::exp(-2 * half * half * kPi * kPi / (x * x));
    }
    return std::clamp(1 - sum, 0.0, 1.0);
  }
  for (int k = 1; k <= kTerms; ++k) sum += (k % 2 == 1 ? 8 : -8) * k * NormalTail(k * x);
  return std::clamp(sum, 0.0, 1.0);
}

CalibrationTestResult KolmogorovSmirnovTest(absl::Span<const ConfidenceGroup> groups) {
  const Walk walk = WalkOf(groups);
  return Test(std::max(walk.highest, -walk.lowest), walk.deviation, BrownianMaximumTail);
}

CalibrationTestResult KuiperTest(absl::Span<const ConfidenceGroup> groups) {
  const Walk walk = WalkOf(groups);
  return Test(walk.highest - walk.lowest, walk.deviation, BrownianRangeTail);
}

}  // namespace calserve
