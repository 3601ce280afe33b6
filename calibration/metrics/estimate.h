#ifndef CALSERVE_CALIBRATION_METRICS_ESTIMATE_H_
#define CALSERVE_CALIBRATION_METRICS_ESTIMATE_H_

#include <cstdint>
#include <optional>

namespace calserve {

// A value and its 95 % interval, where one is known.
struct Estimate {
  double value = 0;
  std::optional<double> low, high;
  friend bool operator==(const Estimate&, const Estimate&) = default;
};

// The standard normal's 97.5 % quantile: of a two-sided 95 % interval.
inline constexpr double kNormalQuantile = 1.959963984540054;

// The share `right / n` with Wilson's score interval (Wilson, 1927); 0 without an interval for n = 0.
Estimate WilsonEstimate(int64_t right, int64_t n);
// The same of a share in [0, 1] of so many effective rows; without an interval where they are not above 0.
Estimate WilsonOfShare(double share, double rows);

// value +- kNormalQuantile standard errors.
Estimate NormalEstimate(double value, double standard_error);

// The mean of numbers, with the normal interval of its standard error; none where they are all equal, which
// tells nothing of their spread.
class MeanEstimate {
 public:
  void Add(double x) { AddMany(x, 1); }
  // `count` times the same number.
  void AddMany(double x, int64_t count) {
    n_ += count;
    sum_ += x * static_cast<double>(count);
    squares_ += x * x * static_cast<double>(count);
  }
  int64_t n() const { return n_; }
  double sum() const { return sum_; }
  Estimate Get() const;

 private:
  int64_t n_ = 0;
  double sum_ = 0;
  double squares_ = 0;
};

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_METRICS_ESTIMATE_H_
