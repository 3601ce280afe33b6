// p = softmax(v x + b), x = log((1 - e) softmax(z / T) + e / K)
//
// Structured vector scaling (SVS) as probmetrics has it (Berta et al., 2025): T is temperature scaling's, e =
// 1 / (n + 1), then v and b minimise
//   mean negative log-likelihood + (K / n) (||v - 1||^2 + ||b||^2),
// which is strictly convex: the ridge pulls to plain temperature scaling the harder, the fewer rows there are
// to a class.

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "calibration/methods/epsilon_mix.h"
#include "calibration/methods/methods.h"
#include "calibration/methods/minimise.h"
#include "calibration/methods/read_temperature.h"
#include "calibration/row_kernels.h"
#include "calibration/softmax.h"
#include "calibration/temperature_fit.h"

namespace calserve {
namespace {

constexpr double kLargest = 1e100;

// x of the formula, in place.
void TemperedLogInPlace(double temperature, double epsilon, absl::Span<double> row) {
  SoftmaxInPlace(1 / temperature, row);
  MixInUniform(epsilon, row);
  for (double& p : row) p = std::log(p);
}

class VectorMap final : public ProbabilityMap {
 public:
  VectorMap(double temperature, double epsilon, std::vector<double> scales, std::vector<double> offsets)
      : temperature_(temperature),
        epsilon_(epsilon),
        scales_(std::move(scales)),
        offsets_(std::move(offsets)) {}

  void Apply(absl::Span<double> row) const override {
    TemperedLogInPlace(temperature_, epsilon_, row);
    for (size_t k = 0; k < row.size(); ++k) row[k] = scales_[k] * row[k] + offsets_[k];
    SoftmaxInPlace(1, row);
  }

 private:
  const double temperature_, epsilon_;
  const std::vector<double> scales_, offsets_;
};

// n / (2 K) times what is minimised, in (v - 1, b): so the ridge is half the squared norm, and the distance
// to the minimum at most the gradient's norm. Holds x of all rows: 8 n K bytes.
class RidgedLikelihood {
 public:
  RidgedLikelihood(const LabelledRows& data, double temperature, double epsilon)
      : data_(data), classes_(static_cast<size_t>(data.logits.classes())), x_(classes_ * data.rows.size()) {
    for (size_t index = 0; index < data.rows.size(); ++index) {
      data.logits.Row(data.rows[index], &x_[index * classes_]);
      TemperedLogInPlace(temperature, epsilon, absl::MakeSpan(x_).subspan(index * classes_, classes_));
    }
  }

  size_t size() const { return 2 * classes_; }

  double operator()(absl::Span<const double> at, absl::Span<double> gradient) const {
    const absl::Span<const double> v = at.first(classes_), b = at.subspan(classes_);
    std::fill(gradient.begin(), gradient.end(), 0);
    std::vector<double> p(classes_);
    double nll = 0;
    for (size_t index = 0; index < data_.rows.size(); ++index) {
      const double* const x = &x_[index * classes_];
      const size_t label = static_cast<size_t>(data_.labels[data_.rows[index]]);
      for (size_t k = 0; k < classes_; ++k) p[k] = x[k] + v[k] * x[k] + b[k];
      const double largest = Max(p), at_label = p[label];
      for (double& value : p) value -= largest;
      ExpOfNonPositive(absl::MakeSpan(p));
      const double sum = Sum(p);
      nll += std::log(sum) + largest - at_label;
      for (size_t k = 0; k < classes_; ++k) {
        p[k] /= sum;
        gradient[k] += p[k] * x[k];
        gradient[classes_ + k] += p[k];
      }
      gradient[label] -= x[label];
      gradient[classes_ + label] -= 1;
    }
    const double per_row = 0.5 / static_cast<double>(classes_);
    double ridge = 0;
    for (size_t j = 0; j < size(); ++j) {
      gradient[j] = per_row * gradient[j] + at[j];
      ridge += at[j] * at[j];
    }
    return per_row * nll + ridge / 2;
  }

 private:
  const LabelledRows& data_;
  const size_t classes_;
  std::vector<double> x_;
};

std::unique_ptr<const ProbabilityMap> Read(int classes, ParameterReader* reader) {
  const double temperature = ReadTemperature(reader);
  const double epsilon = ReadEpsilon(reader);
  if (epsilon < 1e-300) reader->Fail("parameter epsilon must be >= 1e-300: it bounds the logarithm");
  const size_t length = static_cast<size_t>(classes);
  std::vector<double> scales = reader->Values("scale", length, kLargest);
  return std::make_unique<VectorMap>(temperature, epsilon, std::move(scales),
                                     reader->Values("offset", length, kLargest));
}

absl::StatusOr<Fitted> Fit(const LabelledRows& data, const FitProgress& progress) {
  constexpr double kExpectedPasses = 40;
  constexpr double kLargestGradient = 1e-5;
  double passes = 0;
  const auto keep_going = [&] { return progress(std::min(1.0, passes++ / kExpectedPasses)); };
  const TemperatureFit scaling = FitTemperature(data, keep_going);
  if (scaling.cancelled) return FitCancelled();
  const double epsilon = EpsilonOf(data.size());
  const RidgedLikelihood likelihood(data, scaling.temperature, epsilon);
  const Minimum minimum = MinimiseByLbfgs(
      [&](absl::Span<const double> at, absl::Span<double> gradient) { return likelihood(at, gradient); },
      std::vector<double>(likelihood.size(), 0), keep_going);
  if (minimum.cancelled) return FitCancelled();

  const int classes = data.logits.classes();
  std::vector<double> scales(minimum.x.begin(), minimum.x.begin() + classes);
  for (double& scale : scales) scale += 1;
  Fitted fitted;
  fitted.spec = {CalibrationMethod::kVectorScaling,
                 classes,
                 {{"temperature", {scaling.temperature}},
                  {"epsilon", {epsilon}},
                  {"scale", std::move(scales)},
                  {"offset", {minimum.x.begin() + classes, minimum.x.end()}}}};
  fitted.converged = scaling.converged && minimum.gradient < kLargestGradient;
  fitted.iterations = scaling.iterations + minimum.iterations;
  fitted.at_bound = scaling.bound != TemperatureFit::Bound::kNone;
  return fitted;
}

}  // namespace

Method VectorScalingMethod() {
  return {.id = CalibrationMethod::kVectorScaling,
          .name = "vector_scaling",
          .two_classes_only = false,
          .on_more_classes = CalibrationMethod::kVectorScaling,
          .keeps_prediction = false,
          .bytes_per_logit = sizeof(double),
          .read = Read,
          .fit = Fit};
}

}  // namespace calserve
