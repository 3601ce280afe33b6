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
      : data_(data),
        classes_(static_cast<size_t>(data.logits.classes())),
        block_rows_(std::max<size_t>(1, kBlockLogits / classes_)),
        shifted_(block_rows_ * classes_),
        p_(shifted_.size()) {
    largest_.reserve(data_.rows.size());
    std::vector<double> row(classes_);
    for (const int64_t i : data_.rows) {
      data_.logits.Row(i, row.data());
      largest_.push_back(Max(row));
      const double mean_below = Sum(row) / static_cast<double>(classes_) - largest_.back();
      const double label_below = row[data_.labels[i]] - largest_.back();
      all_equal_ = all_equal_ && std::all_of(row.begin(), row.end(), [&](double z) { return z == row[0]; });
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
    const int64_t block_step = stride * static_cast<int64_t>(block_rows_);
    for (int64_t first = 0; first < data_.size(); first += block_step) {
      const int64_t end = std::min(data_.size(), first + block_step);
      size_t filled = 0;
      for (int64_t index = first; index < end; index += stride, ++filled) Shift(index, beta, filled);
      ExpOfNonPositive(absl::MakeSpan(p_).first(filled * classes_));
      for (size_t row = 0; row < filled; ++row) {
        const int64_t i = data_.rows[first + stride * static_cast<int64_t>(row)];
        AddCumulants(row, data_.labels[i], &sum);
      }
      rows += static_cast<double>(filled);
    }
    return {sum.value / rows, sum.slope / rows, sum.curvature / rows};
  }

 private:
  // About what a block of rows holds: so many that calls are few beside the work, all in the first cache.
  static constexpr size_t kBlockLogits = 512;

  // Puts z - max z of a row, and beta times it, to that place of the block.
  void Shift(int64_t index, double beta, size_t row) {
    double* const shifted = &shifted_[row * classes_];
    double* const scaled = &p_[row * classes_];
    data_.logits.Row(data_.rows[index], shifted);
    for (size_t k = 0; k < classes_; ++k) {
      shifted[k] -= largest_[index];
      scaled[k] = beta * shifted[k];
    }
  }

  // From the raw moments of a row's shifted logits under the weights p_.
  void AddCumulants(size_t row, int32_t label_class, Gradient* sum) const {
    const absl::Span<const double> shifted(&shifted_[row * classes_], classes_);
    const double label = shifted[label_class];
    const Moments moments = WeightedMoments({&p_[row * classes_], classes_}, shifted);
    const double mean = moments.first / moments.zeroth;
    const double square = moments.second / moments.zeroth;
    const double cube = moments.third / moments.zeroth;
    sum->value += mean - label;
    sum->slope += square - mean * mean;
    sum->curvature += cube - 3 * mean * square + 2 * mean * mean * mean;
  }

  const LabelledRows& data_;
  const size_t classes_, block_rows_;
  bool all_equal_ = true;
  double gradient_at_zero_ = 0;  // times rows, as is the next
  double gradient_at_infinity_ = 0;
  std::vector<double> largest_;  // logit of each row
  // Of the rows at hand, one after another: z - max z, and exp(beta (z - max z)).
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
