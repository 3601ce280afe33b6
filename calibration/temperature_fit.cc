#include "calibration/temperature_fit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "calibration/row_kernels.h"

namespace calserve {
namespace {

// Of the last step in log beta. Halley's steps converge cubically: what is left after it is of order 1e-12.
constexpr double kTolerance = 1e-4;
constexpr int kMaxIterations = 100;
constexpr int64_t kSampleRows = 1024;

// Mean over rows of the first three cumulants of z under softmax(beta z), the first less the label's logit:
// the likelihood's gradient in beta and its two derivatives.
struct Gradient {
  double value = 0;
  double slope = 0;
  double curvature = 0;
};

class Likelihood {
 public:
  explicit Likelihood(const LabelledRows& data)
      : data_(data), shifted_(data.logits.classes()), p_(shifted_.size()) {
    largest_.reserve(data_.rows.size());
    for (const int64_t i : data_.rows) {
      data_.logits.Row(i, shifted_.data());
      largest_.push_back(Max(shifted_));
      const double mean_below = Sum(shifted_) / static_cast<double>(shifted_.size()) - largest_.back();
      const double label_below = shifted_[data_.labels[i]] - largest_.back();
      all_equal_ = all_equal_ &&
                   std::all_of(shifted_.begin(), shifted_.end(), [&](double z) { return z == shifted_[0]; });
      gradient_at_zero_ += mean_below - label_below;
      gradient_at_infinity_ -= label_below;
    }
  }

  bool all_equal() const { return all_equal_; }
  // g(0) >= 0: the likelihood falls from beta = 0 on. Every label's logit is on average below its row's mean.
  bool best_is_zero() const { return gradient_at_zero_ >= 0; }
  // g(infinity) = 0: the likelihood never stops rising. Every label is a largest logit of its row.
  bool best_is_infinite() const { return gradient_at_infinity_ <= 0; }

  // Over every `stride`-th row.
  Gradient At(double beta, int64_t stride) {
    Gradient sum;
    double rows = 0;
    for (int64_t index = 0; index < data_.size(); index += stride, rows += 1) {
      const int64_t i = data_.rows[index];
      data_.logits.Row(i, shifted_.data());
      for (size_t k = 0; k < shifted_.size(); ++k) {
        shifted_[k] -= largest_[index];
        p_[k] = beta * shifted_[k];
      }
      ExpOfNonPositive(absl::MakeSpan(p_));
      AddCumulants(shifted_[data_.labels[i]], &sum);
    }
    return {sum.value / rows, sum.slope / rows, sum.curvature / rows};
  }

 private:
  // From the raw moments of the shifted logits under the weights p_.
  void AddCumulants(double label, Gradient* sum) const {
    const Moments moments = WeightedMoments(p_, shifted_);
    const double mean = moments.first / moments.zeroth;
    const double square = moments.second / moments.zeroth;
    const double cube = moments.third / moments.zeroth;
    sum->value += mean - label;
    sum->slope += square - mean * mean;
    sum->curvature += cube - 3 * mean * square + 2 * mean * mean * mean;
  }

  const LabelledRows& data_;
  bool all_equal_ = true;
  double gradient_at_zero_ = 0;  // times rows, as is the next
  double gradient_at_infinity_ = 0;
  std::vector<double> largest_;  // logit of each row
  // Of the row at hand: z - max z, and exp(beta (z - max z)).
  std::vector<double> shifted_;
  std::vector<double> p_;
};

// Halley's step towards the root of f(u) = g(exp u), from f' = beta g' and f'' = beta g' + beta^2 g''. NaN or
// infinite where the derivatives have vanished.
double HalleyStep(const Gradient& g, double beta) {
  const double first = beta * g.slope;
  const double second = first + beta * beta * g.curvature;
  return -2 * g.value * first / (2 * first * first - g.value * second);
}

// Refines u = log beta in [low, high], where f(low) < 0 < f(high) as far as is known. A step is taken if it
// stays inside and is less than half of the last; otherwise the bound it points at is tried, or, if that has
// been, the middle.
class RootSearch {
 public:
  RootSearch(Likelihood* likelihood, int64_t stride, const std::function<bool()>& keep_going)
      : likelihood_(*likelihood), stride_(stride), keep_going_(keep_going) {}

  TemperatureFit Run(double start) {
    double u = start;
    while (fit_.iterations < kMaxIterations) {
      if (!keep_going_()) {
        fit_.cancelled = true;
        return fit_;
      }
      u = Advance(u);
      if (fit_.converged) break;
    }
    fit_.temperature = std::clamp(std::exp(-u), kMinFittedTemperature, kMaxFittedTemperature);
    if (fit_.bound == TemperatureFit::Bound::kLow) fit_.temperature = kMinFittedTemperature;
    if (fit_.bound == TemperatureFit::Bound::kHigh) fit_.temperature = kMaxFittedTemperature;
    return fit_;
  }

 private:
  // The next u; sets fit_.converged where it is final.
  double Advance(double u) {
    ++fit_.iterations;
    const double beta = std::exp(u);
    const Gradient g = likelihood_.At(beta, stride_);
    const bool rises = g.value < 0;
    if (rises && u >= kHighest) fit_.bound = TemperatureFit::Bound::kLow;
    if (!rises && u <= kLowest) fit_.bound = TemperatureFit::Bound::kHigh;
    fit_.converged = fit_.bound != TemperatureFit::Bound::kNone;
    if (fit_.converged) return u;
    (rises ? low_ : high_) = u;
    (rises ? low_known_ : high_known_) = true;

    const double step = HalleyStep(g, beta);
    const bool useful =
        u + step > low_ && u + step < high_ && std::abs(step) < last_step_ / 2;  // false for NaN
    last_step_ = std::abs(step);
    fit_.converged = std::abs(step) < kTolerance;
    if (useful || fit_.converged) return u + step;
    last_step_ = std::numeric_limits<double>::infinity();
    if (rises && !high_known_) return kHighest;
    if (!rises && !low_known_) return kLowest;
    return (low_ + high_) / 2;
  }

  static inline const double kLowest = -std::log(kMaxFittedTemperature);
  static inline const double kHighest = -std::log(kMinFittedTemperature);

  Likelihood& likelihood_;
  const int64_t stride_;
  const std::function<bool()>& keep_going_;
  TemperatureFit fit_;
  double low_ = kLowest, high_ = kHighest;
  bool low_known_ = false, high_known_ = false;  // whether f has been seen to be < 0 at low, > 0 at high
  double last_step_ = std::numeric_limits<double>::infinity();
};

}  // namespace

TemperatureFit FitTemperature(const LabelledRows& data, const std::function<bool()>& keep_going) {
  Likelihood likelihood(data);
  TemperatureFit fit;
  fit.converged = true;
  if (likelihood.all_equal()) {
    fit.bound = TemperatureFit::Bound::kNoData;
  } else if (likelihood.best_is_infinite()) {
    fit.bound = TemperatureFit::Bound::kLow;
    fit.temperature = kMinFittedTemperature;
  } else if (likelihood.best_is_zero()) {
    fit.bound = TemperatureFit::Bound::kHigh;
    fit.temperature = kMaxFittedTemperature;
  } else {
    // A small sample finds the neighbourhood; where it starts does not move the root.
    double start = 0;
    if (data.size() >= 4 * kSampleRows) {
      const TemperatureFit sample = RootSearch(&likelihood, data.size() / kSampleRows, keep_going).Run(start);
      if (sample.cancelled) return sample;
      if (sample.bound == TemperatureFit::Bound::kNone) start = -std::log(sample.temperature);
    }
    fit = RootSearch(&likelihood, 1, keep_going).Run(start);
  }
  return fit;
}

}  // namespace calserve
