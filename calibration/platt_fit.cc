#include "calibration/platt_fit.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

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

class CrossEntropy {
 public:
  struct Derivatives {
    double slope = 0, offset = 0;                                           // gradient
    double slope_slope = kRidge, slope_offset = 0, offset_offset = kRidge;  // Hessian
  };

  CrossEntropy(absl::Span<const double> scores, absl::Span<const uint8_t> positive, Scaling scaling,
               double positives)
      : scores_(scores),
        positive_(positive),
        scaling_(scaling),
        high_target_((positives + 1) / (positives + 2)),
        low_target_(1 / (static_cast<double>(scores.size()) - positives + 2)) {}

  // sum_i t log(1 + exp(x)) + (1 - t) log(1 + exp(-x)), x = slope f + offset, each without overflow.
  double Loss(double slope, double offset) const {
    double loss = 0;
    for (size_t i = 0; i < scores_.size(); ++i) {
      const double x = slope * Score(i) + offset;
      loss += (x >= 0 ? Target(i) : Target(i) - 1) * x + std::log1p(std::exp(-std::abs(x)));
    }
    return loss;
  }

  Derivatives At(double slope, double offset) const {
    Derivatives d;
    for (size_t i = 0; i < scores_.size(); ++i) {
      const double f = Score(i);
      const double x = slope * f + offset;
      const double e = std::exp(-std::abs(x));
      const double p = (x >= 0 ? e : 1) / (1 + e);
      const double q = (x >= 0 ? 1 : e) / (1 + e);
      const double residual = Target(i) - p;
      const double weight = p * q;
      d.slope += f * residual;
      d.offset += residual;
      d.slope_slope += f * f * weight;
      d.slope_offset += f * weight;
      d.offset_offset += weight;
    }
    return d;
  }

 private:
  double Score(size_t i) const { return scaling_(scores_[i]); }
  double Target(size_t i) const { return positive_[i] != 0 ? high_target_ : low_target_; }

  absl::Span<const double> scores_;
  absl::Span<const uint8_t> positive_;
  Scaling scaling_;
  double high_target_, low_target_;
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

PlattFit FitPlatt(absl::Span<const double> scores, absl::Span<const uint8_t> positive) {
  const Scaling scaling = Scaling::Of(scores);
  const double rows = static_cast<double>(scores.size());
  const double positives = static_cast<double>(std::count(positive.begin(), positive.end(), 1));

  const CrossEntropy entropy(scores, positive, scaling, positives);
  PlattFit fit;
  fit.overlapping = Overlapping(scores, positive);
  double slope = 0;
  double offset = std::log((rows - positives + 1) / (positives + 1));
  double loss = entropy.Loss(slope, offset);
  while (fit.iterations < kMaxIterations && !fit.converged) {
    ++fit.iterations;
    const CrossEntropy::Derivatives d = entropy.At(slope, offset);
    const double determinant = d.slope_slope * d.offset_offset - d.slope_offset * d.slope_offset;
    const double slope_step = -(d.offset_offset * d.slope - d.slope_offset * d.offset) / determinant;
    const double offset_step = -(d.slope_slope * d.offset - d.slope_offset * d.slope) / determinant;
    const double descent = d.slope * slope_step + d.offset * offset_step;
    const double size = std::max(std::abs(slope_step) / (1 + std::abs(slope)),
                                 std::abs(offset_step) / (1 + std::abs(offset)));

    double step = 1;
    double next_loss = entropy.Loss(slope + slope_step, offset + offset_step);
    while (size > kCertainStep && !(next_loss < loss + 1e-4 * step * descent)) {
      step /= 2;
      if (step < kMinStep) break;
      next_loss = entropy.Loss(slope + step * slope_step, offset + step * offset_step);
    }
    if (step < kMinStep) break;  // the line search failed; converged stays false
    slope += step * slope_step;
    offset += step * offset_step;
    loss = next_loss;
    fit.converged = size <= kTolerance;
  }
  fit.slope = slope / scaling.half_range;
  fit.offset = offset - fit.slope * scaling.centre;
  return fit;
}

}  // namespace calserve
