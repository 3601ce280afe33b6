#include "server/monitoring/label_selection.h"

#include <algorithm>
#include <cmath>

namespace calserve {
namespace {

constexpr double kStandardErrors = 5;

}  // namespace

LabelSelection CompareLabelled(const ConfidenceSums& labelled, const ConfidenceSums& issued) {
  if (labelled.n < kLeastLabelsToCompare || labelled.n > issued.n) return LabelSelection::kTooFewLabels;
  const double n = static_cast<double>(labelled.n), all = static_cast<double>(issued.n);
  const double variance = std::max(0.0, issued.squares / all - issued.mean() * issued.mean());
  const double standard_error = std::sqrt(variance * (1 - n / all) / n);
  const double difference = std::abs(labelled.mean() - issued.mean());
  return difference > kLeastDifference && difference > kStandardErrors * standard_error
             ? LabelSelection::kSelectiveLabels
             : LabelSelection::kNoDifference;
}

}  // namespace calserve
