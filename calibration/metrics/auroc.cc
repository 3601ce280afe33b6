#include "calibration/metrics/auroc.h"

#include <algorithm>
#include <cmath>

namespace calserve {

std::optional<Estimate> ConfidenceAuroc(absl::Span<const ConfidenceGroup> groups) {
  double right = 0, wrong = 0;
  for (const ConfidenceGroup& group : groups) {
    right += static_cast<double>(group.correct);
    wrong += static_cast<double>(group.count - group.correct);
  }
  if (right == 0 || wrong == 0) return std::nullopt;

  // A row's placement: the share of rows of the other kind on its good side, ties half.
  MeanEstimate of_right, of_wrong;
  double right_below = 0, wrong_below = 0;
  for (const ConfidenceGroup& group : groups) {
    const double right_here = static_cast<double>(group.correct);
    const double wrong_here = static_cast<double>(group.count - group.correct);
    of_right.AddMany((wrong_below + wrong_here / 2) / wrong, group.correct);
    of_wrong.AddMany((right - right_below - right_here / 2) / right, group.count - group.correct);
    right_below += right_here;
    wrong_below += wrong_here;
  }
  const Estimate a = of_right.Get(), b = of_wrong.Get();
  if (!a.low.has_value() || !b.low.has_value()) return Estimate{a.value};
  const double half = std::hypot(a.value - *a.low, b.value - *b.low);
  return Estimate{a.value, std::max(0.0, a.value - half), std::min(1.0, a.value + half)};
}

}  // namespace calserve
