#include "calibration/metrics/spiegelhalter.h"

#include <cmath>
#include <numbers>

namespace calserve {

CalibrationTestResult SpiegelhalterTest(absl::Span<const ConfidenceGroup> groups) {
  double sum = 0, variance = 0;
  for (const ConfidenceGroup& group : groups) {
    const double count = static_cast<double>(group.count), c = group.confidence;
    sum += (static_cast<double>(group.correct) - count * c) * (1 - 2 * c);
    variance += count * (1 - 2 * c) * (1 - 2 * c) * c * (1 - c);
  }
  if (sum == 0) return {0, 1};
  if (variance == 0) return {std::nullopt, 0};  // certain, and wrong
  const double z = sum / std::sqrt(variance);
  return {z, std::erfc(std::abs(z) / std::numbers::sqrt2)};
}

}  // namespace calserve
