#include "calibration/metrics/smooth_ece.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <utility>
#include <vector>

namespace calserve {
namespace {

constexpr double kPi = std::numbers::pi;
// exp(-x^2 / 2) is below 1e-17 beyond.
constexpr double kNegligible = 8.9;
// Grid points a bandwidth, between which r has at most one extremum.
constexpr double kPointsPerBandwidth = 8;

// sum_m c_m cos(pi m t), and its integral from 0.
class CosineSeries {
 public:
  explicit CosineSeries(std::vector<double> coefficients) : c_(std::move(coefficients)) {}

  // Clenshaw's recurrence.
  double At(double t) const {
    const double twice = 2 * std::cos(kPi * t);
    double next = 0, after = 0;
    for (size_t m = c_.size() - 1; m > 0; --m) {
      const double here = c_[m] + twice * next - after;
      after = next;
      next = here;
    }
    return c_[0] + twice / 2 * next - after;
  }

  double Integral(double t) const {
    if (t == 1) return c_[0];
    double sum = c_[0] * t;
    for (size_t m = 1; m < c_.size(); ++m) {
      const double frequency = kPi * static_cast<double>(m);
      sum += c_[m] * std::sin(frequency * t) / frequency;
    }
    return sum;
  }

  // At(j / intervals) for j = 0 ... intervals.
  std::vector<double> OnGrid(size_t intervals) const {
    std::vector<double> cosines(2 * intervals), values(intervals + 1);
    for (size_t k = 0; k < cosines.size(); ++k) {
      cosines[k] = std::cos(kPi * static_cast<double>(k) / static_cast<double>(intervals));
    }
    for (size_t j = 0; j <= intervals; ++j) {
      size_t phase = 0;  // m j modulo a period
      for (const double c : c_) {
        values[j] += c * cosines[phase];
        phase += j;
        if (phase >= cosines.size()) phase -= cosines.size();
      }
    }
    return values;
  }

 private:
  std::vector<double> c_;
};

// Where a series changes its sign, in order. Values below kNoise of the largest count as 0: they are
// rounding, far from every confidence, and add nothing to an integral.
class SignChanges {
 public:
  SignChanges(const CosineSeries& series, size_t intervals)
      : series_(series), step_(1.0 / static_cast<double>(intervals)) {
    std::vector<double> values = series.OnGrid(intervals);
    double largest = 0;
    for (const double value : values) largest = std::max(largest, std::abs(value));
    const auto seen = [&](size_t j) { return std::abs(values[j]) > kNoise * largest; };

    size_t last = 0;  // the last grid point that was seen
    for (size_t j = 0; j <= intervals; ++j) {
      if (!seen(j)) continue;
      if (seen(last) && values[last] * values[j] < 0) {
        points_.push_back(j == last + 1 ? Bisect(Point(last), Point(j)) : (Point(last) + Point(j)) / 2);
      }
      if (0 < j && j < intervals) AddPairAround(values[j - 1], values[j], values[j + 1], Point(j));
      last = j;
    }
    std::sort(points_.begin(), points_.end());
  }
  const std::vector<double>& get() const { return points_; }

 private:
  static constexpr double kNoise = 1e-12;

  double Point(size_t j) const { return static_cast<double>(j) * step_; }

  double Bisect(double low, double high) const {
    const double sign = series_.At(low) < 0 ? -1 : 1;
    for (int i = 0; i < 44; ++i) {
      const double middle = (low + high) / 2;
      (sign * series_.At(middle) >= 0 ? low : high) = middle;
    }
    return (low + high) / 2;
  }

  // The two between neighbours of one sign whose middle one is nearest to 0, where the series dips through 0.
  void AddPairAround(double before, double here, double after, double t) {
    if (before * here <= 0 || here * after <= 0) return;
    if (std::abs(here) > std::abs(before) || std::abs(here) > std::abs(after)) return;
    const double sign = here < 0 ? -1 : 1;
    double low = t - step_, high = t + step_;
    for (int i = 0; i < 40; ++i) {  // ternary search of the extremum
      const double a = low + (high - low) / 3, b = high - (high - low) / 3;
      if (sign * series_.At(a) < sign * series_.At(b)) {
        high = b;
      } else {
        low = a;
      }
    }
    const double lowest = (low + high) / 2;
    if (sign * series_.At(lowest) >= 0) return;
    points_.push_back(Bisect(t - step_, lowest));
    points_.push_back(Bisect(lowest, t + step_));
  }

  const CosineSeries& series_;
  const double step_;
  std::vector<double> points_;
};

// r_s for every s. The reflected normal kernel is the heat kernel of [0, 1]:
//   K_s(t, f) = 1 + 2 sum_{m >= 1} exp(-(pi m s)^2 / 2) cos(pi m f) cos(pi m t).
class SmoothedResidual {
 public:
  explicit SmoothedResidual(absl::Span<const ConfidenceGroup> groups) {
    const double n = static_cast<double>(CountRows(groups));
    double mean = 0;
    for (const ConfidenceGroup& group : groups) {
      const double residual =
          static_cast<double>(group.correct) - static_cast<double>(group.count) * group.confidence;
      mean += residual / n;
      terms_.push_back(
          {2 * residual / n, 0, std::cos(kPi * group.confidence), std::sin(kPi * group.confidence)});
    }
    coefficients_ = {mean};
  }

  // The integral of |r_s|.
  double SmoothEceAt(double bandwidth) {
    const auto size = static_cast<size_t>(kNegligible / (kPi * bandwidth)) + 2;
    while (coefficients_.size() < size) AddCoefficient();
    std::vector<double> damped(coefficients_.begin(), coefficients_.begin() + static_cast<int64_t>(size));
    for (size_t m = 0; m < size; ++m) {
      const double x = kPi * static_cast<double>(m) * bandwidth;
      damped[m] *= std::exp(-x * x / 2);
    }
    const CosineSeries series(std::move(damped));
    std::vector<double> ends =
        SignChanges(series, static_cast<size_t>(kPointsPerBandwidth / bandwidth) + 64).get();
    ends.push_back(1);
    double sum = 0, from = 0;
    for (const double end : ends) {
      const double to = series.Integral(end);
      sum += std::abs(to - from);
      from = to;
    }
    return sum;
  }

 private:
  // weight * exp(i m pi f), turned on by one m at a time.
  struct Term {
    double real, imaginary, cosine, sine;
  };

  void AddCoefficient() {
    double sum = 0;
    for (Term& term : terms_) {
      const double real = term.real * term.cosine - term.imaginary * term.sine;
      term.imaginary = term.real * term.sine + term.imaginary * term.cosine;
      term.real = real;
      sum += real;
    }
    coefficients_.push_back(sum);
  }

  std::vector<Term> terms_;
  std::vector<double> coefficients_;
};

}  // namespace

double SmoothEceAt(absl::Span<const ConfidenceGroup> groups, double bandwidth) {
  if (groups.empty()) return 0;
  return SmoothedResidual(groups).SmoothEceAt(bandwidth);
}

double SmoothEce(absl::Span<const ConfidenceGroup> groups) {
  if (groups.empty()) return 0;
  SmoothedResidual residual(groups);
  // smECE_s - s falls in s; it is not above 0 at 1. The bracket comes from above: small s take long series.
  double high = 1, high_value = residual.SmoothEceAt(1) - 1, low = 1, low_value = high_value;
  while (low_value < 0) {
    if (low <= kSmallestBandwidth) return low_value + low;
    high = low;
    high_value = low_value;
    low = std::max(low / 2, kSmallestBandwidth);
    low_value = residual.SmoothEceAt(low) - low;
  }
  // False position, halving the value of an end that stays (the Illinois rule).
  int stayed = 0;  // which end: -1 low, 1 high
  while (high - low > 1e-12 && low_value > 0) {
    const double middle = std::clamp((low * high_value - high * low_value) / (high_value - low_value),
                                     low + 1e-13, high - 1e-13);
    const double value = residual.SmoothEceAt(middle) - middle;
    if (value >= 0) {
      low = middle;
      low_value = value;
      if (stayed == 1) high_value /= 2;
      stayed = 1;
    } else {
      high = middle;
      high_value = value;
      if (stayed == -1) low_value /= 2;
      stayed = -1;
    }
  }
  return low;
}

}  // namespace calserve
