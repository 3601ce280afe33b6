#include "calibration/platt_fit.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "calibration/row_kernels.h"

namespace calserve {
namespace {

constexpr int kMaxIterations = 100;
constexpr double kMinStep = 1e-10;    // of the line search
constexpr double kRidge = 1e-12;      // keeps the Hessian regular
constexpr double kTolerance = 1e-10;  // of a whole Newton step, relative
constexpr double kCertainStep =
    1e-6;  // below it the loss cannot tell steps apart, and Newton needs no search

// Maps the scores to [-1, 1], so that neither tiny, huge nor far-off ones upset the Hessian; equal ones to 0.
struct Scaling {
  double centre = 0;
  double half_range = 1;

  static Scaling Of(absl::Span<const double> scores) {
    constexpr double kSmallestRange = 1e-60;  // below it a slope would overflow
    Scaling scaling;
    if (scores.empty()) return scaling;
    const auto [low, high] = std::minmax_element(scores.begin(), scores.end());
    scaling.centre = (*low + *high) / 2;
    const double half_range = (*high - *low) / 2;
    if (half_range > kSmallestRange) scaling.half_range = half_range;
    return scaling;
  }
  double operator()(double score) const { return (score - centre) / half_range; }
};

// Sum of the cross-entropies of 1 / (1 + exp(slope f + offset)) against the smoothed targets, f scaled.
class CrossEntropy {
 public:
  struct Point {
    double loss = 0;
    double slope = 0, offset = 0;                                 // gradient
    double slope_slope = 0, slope_offset = 0, offset_offset = 0;  // Hessian
  };

  CrossEntropy(absl::Span<const double> scores, absl::Span<const uint8_t> positive, Scaling scaling,
               double positives) {
    const double high = (positives + 1) / (positives + 2);
    const double low = 1 / (static_cast<double>(scores.size()) - positives + 2);
    scores_.reserve(scores.size());
    for (size_t i = 0; i < scores.size(); ++i) {
      scores_.push_back(scaling(scores[i]));
      const double target = positive[i] != 0 ? high : low;
      targets_ += target;
      target_scores_ += target * scores_.back();
    }
  }

  // The kernel's x is -(slope f + offset).
  Point At(double slope, double offset) const {
    const LogisticSums sums = SumLogistic(scores_, {}, -slope, 0, -offset);
    return {.loss = sums.softplus + slope * target_scores_ + offset * targets_,
            .slope = target_scores_ - sums.pa,
            .offset = targets_ - sums.p,
            .slope_slope = sums.waa + kRidge,
            .slope_offset = sums.wa,
            .offset_offset = sums.w + kRidge};
  }

 private:
  std::vector<double> scores_;
  double targets_ = 0, target_scores_ = 0;  // sum t, sum t f
};

bool Overlapping(absl::Span<const double> scores, absl::Span<const uint8_t> positive) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  double low[2] = {kInfinity, kInfinity}, high[2] = {-kInfinity, -kInfinity};
  for (size_t i = 0; i < scores.size(); ++i) {
    const int side = positive[i] != 0 ? 1 : 0;
    low[side] = std::min(low[side], scores[i]);
    high[side] = std::max(high[side], scores[i]);
  }
  return low[0] <= high[1] && low[1] <= high[0];
}

}  // namespace

PlattFit FitPlatt(absl::Span<const double> scores, absl::Span<const uint8_t> positive,
                  const std::function<bool()>& keep_going) {
  const Scaling scaling = Scaling::Of(scores);
  const double rows = static_cast<double>(scores.size());
  const double positives = static_cast<double>(std::count(positive.begin(), positive.end(), 1));

  const CrossEntropy entropy(scores, positive, scaling, positives);
  PlattFit fit;
  fit.overlapping = Overlapping(scores, positive);
  double slope = 0;
  double offset = std::log((rows - positives + 1) / (positives + 1));
  CrossEntropy::Point at = entropy.At(slope, offset);
  while (fit.iterations < kMaxIterations && !fit.converged) {
    if (!keep_going()) {
      fit.cancelled = true;
      break;
    }
    ++fit.iterations;
    const double determinant = at.slope_slope * at.offset_offset - at.slope_offset * at.slope_offset;
    const double slope_step = -(at.offset_offset * at.slope - at.slope_offset * at.offset) / determinant;
    const double offset_step = -(at.slope_slope * at.offset - at.slope_offset * at.slope) / determinant;
    const double descent = at.slope * slope_step + at.offset * offset_step;
    const double size = std::max(std::abs(slope_step) / (1 + std::abs(slope)),
                                 std::abs(offset_step) / (1 + std::abs(offset)));

    double step = 1;
    CrossEntropy::Point next = entropy.At(slope + slope_step, offset + offset_step);
    while (size > kCertainStep && !(next.loss < at.loss + 1e-4 * step * descent)) {
      step /= 2;
      if (step < kMinStep) break;
      next = entropy.At(slope + step * slope_step, offset + step * offset_step);
    }
    if (step < kMinStep) break;  // the line search failed; converged stays false
    slope += step * slope_step;
    offset += step * offset_step;
    at = next;
    fit.converged = size <= kTolerance;
  }
  fit.slope = slope / scaling.half_range;
  fit.offset = offset - fit.slope * scaling.centre;
  return fit;
}

}  // namespace calserve
