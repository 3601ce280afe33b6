// p = softmax(beta z), beta = exp(a + b c + d c^2) clamped to [0.01, 100], c = max softmax(z): a temperature
// that depends on how sure the model is (a small case of parameterised temperature scaling, Tomani et al.,
// 2022). a, b and d minimise the negative log-likelihood, from plain temperature scaling on. beta > 0, so the
// predicted class stays. Where the temperature itself is not determined by the data, b and d are not either,
// and stay 0; then, as for temperature, "epsilon" may join.

#include <algorithm>
#include <cmath>
#include <vector>

#include "calibration/methods/epsilon_mix.h"
#include "calibration/methods/methods.h"
#include "calibration/methods/newton.h"
#include "calibration/row_kernels.h"
#include "calibration/softmax.h"
#include "calibration/temperature_fit.h"

namespace calserve {
namespace {

constexpr size_t kCoefficients = 3;
constexpr double kLargest = 1e100;
const double kMaxLogBeta = -std::log(kMinFittedTemperature);
const double kMinLogBeta = -std::log(kMaxFittedTemperature);

double LogBeta(absl::Span<const double> coefficients, double confidence) {
  return coefficients[0] + confidence * (coefficients[1] + confidence * coefficients[2]);
}

class AdaptiveMap final : public ProbabilityMap {
 public:
  AdaptiveMap(std::vector<double> coefficients, double epsilon)
      : coefficients_(std::move(coefficients)), epsilon_(epsilon) {}

  void Apply(absl::Span<double> row) const override {
    std::vector<double> plain(row.begin(), row.end());
    SoftmaxInPlace(1, absl::MakeSpan(plain));
    const double log_beta = LogBeta(coefficients_, Max(plain));
    SoftmaxInPlace(std::exp(std::clamp(log_beta, kMinLogBeta, kMaxLogBeta)), row);
    MixInUniform(epsilon_, row);
  }

 private:
  const std::vector<double> coefficients_;
  const double epsilon_;
};

// The mean negative log-likelihood in (a, b, d).
class Likelihood {
 public:
  explicit Likelihood(const LabelledRows& data)
      : data_(data), shifted_(data.logits.classes()), weights_(shifted_.size()) {
    largest_.reserve(data.rows.size());
    confidence_.reserve(data.rows.size());
    for (const int64_t i : data.rows) {
      data.logits.Row(i, shifted_.data());
      largest_.push_back(Max(shifted_));
      for (double& z : shifted_) z -= largest_.back();
      ExpOfNonPositive(absl::MakeSpan(shifted_));
      confidence_.push_back(1 / Sum(shifted_));
    }
  }

  LocalModel At(const Eigen::VectorXd& coefficients) {
    LocalModel model{0, Eigen::VectorXd::Zero(kCoefficients),
                     Eigen::MatrixXd::Zero(kCoefficients, kCoefficients)};
    any_clamped_ = false;
    for (size_t index = 0; index < data_.rows.size(); ++index) {
      const double c = confidence_[index];
      const double u = LogBeta({coefficients.data(), kCoefficients}, c);
      const double clamped = std::clamp(u, kMinLogBeta, kMaxLogBeta);
      const double beta = std::exp(clamped);
      const Moments moments = MomentsOf(index, beta);
      const double label = shifted_[data_.labels[data_.rows[index]]];
      model.value += std::log(moments.zeroth) - beta * label;
      if (clamped != u) {
        any_clamped_ = true;
        continue;
      }
      const double mean = moments.first / moments.zeroth;
      const double variance = moments.second / moments.zeroth - mean * mean;
      const double slope = beta * (mean - label);  // in u
      const Eigen::Vector3d x(1, c, c * c);
      model.gradient += slope * x;
      model.hessian += (beta * beta * variance + slope) * x * x.transpose();
    }
    const double rows = static_cast<double>(data_.rows.size());
    return {model.value / rows, model.gradient / rows, model.hessian / rows};
  }

  // Whether a row's beta was outside its bounds at the last point.
  bool any_clamped() const { return any_clamped_; }

 private:
  // Of the logits less their largest, which it leaves in shifted_, under exp(beta z).
  Moments MomentsOf(size_t index, double beta) {
    data_.logits.Row(data_.rows[index], shifted_.data());
    for (size_t k = 0; k < shifted_.size(); ++k) {
      shifted_[k] -= largest_[index];
      weights_[k] = beta * shifted_[k];
    }
    ExpOfNonPositive(absl::MakeSpan(weights_));
    return WeightedMoments(weights_, shifted_);
  }

  const LabelledRows& data_;
  std::vector<double> shifted_, weights_, largest_, confidence_;
  bool any_clamped_ = false;
};

std::unique_ptr<const ProbabilityMap> Read(int, ParameterReader* reader) {
  std::vector<double> coefficients = reader->Values("coefficients", kCoefficients, kLargest);
  return std::make_unique<AdaptiveMap>(std::move(coefficients), ReadEpsilon(reader));
}

CalibratorSpec SpecOf(const LabelledRows& data, std::vector<double> coefficients) {
  return {CalibrationMethod::kAdaptiveTemperature,
          data.logits.classes(),
          {{"coefficients", std::move(coefficients)}}};
}

absl::StatusOr<Fitted> Fit(const LabelledRows& data, const FitProgress& progress) {
  constexpr double kExpectedPasses = 15;
  double passes = 0;
  const auto keep_going = [&] { return progress(std::min(1.0, passes++ / kExpectedPasses)); };
  const TemperatureFit start = FitTemperature(data, keep_going);
  if (start.cancelled) return FitCancelled();
  const double log_beta = -std::log(start.temperature);
  Fitted fitted;
  if (start.bound != TemperatureFit::Bound::kNone) {
    fitted.spec = SpecOf(data, {log_beta, 0, 0});
    if (start.bound == TemperatureFit::Bound::kLow) {
      fitted.spec.parameters.push_back({"epsilon", {EpsilonOf(data.size())}});
    }
    fitted.at_bound = true;
    fitted.converged = start.converged;
    fitted.iterations = start.iterations;
    return fitted;
  }
  Likelihood likelihood(data);
  const NewtonResult fit = MinimiseByNewton([&](const Eigen::VectorXd& x) { return likelihood.At(x); },
                                            Eigen::Vector3d(log_beta, 0, 0), keep_going);
  if (fit.cancelled) return FitCancelled();
  fitted.spec = SpecOf(data, {fit.x[0], fit.x[1], fit.x[2]});
  fitted.converged = fit.converged;
  fitted.iterations = start.iterations + fit.iterations;
  fitted.at_bound = likelihood.any_clamped();
  return fitted;
}

}  // namespace

Method AdaptiveTemperatureMethod() {
  return {.id = CalibrationMethod::kAdaptiveTemperature,
          .name = "adaptive_temperature",
          .two_classes_only = false,
          .on_more_classes = CalibrationMethod::kAdaptiveTemperature,
          .keeps_prediction = true,
          .read = Read,
          .fit = Fit};
}

}  // namespace calserve
