// p = w_1 softmax(z / T) + w_2 softmax(z) + w_3 / K, w >= 0, sum w = 1                     (Zhang et al.,
// 2020)
//
// T is temperature scaling's, by the likelihood (the authors' code takes the squared error); then the weights
// minimise the negative log-likelihood, which is convex in them. The order of the classes stays.

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "calibration/methods/epsilon_mix.h"
#include "calibration/methods/methods.h"
#include "calibration/methods/newton.h"
#include "calibration/methods/read_temperature.h"
#include "calibration/softmax.h"
#include "calibration/temperature_fit.h"

namespace calserve {
namespace {

constexpr int kComponents = 3;

class EnsembleMap final : public ProbabilityMap {
 public:
  EnsembleMap(double temperature, std::vector<double> weights)
      : inverse_temperature_(1 / temperature), weights_(std::move(weights)) {}

  void Apply(absl::Span<double> row) const override {
    std::vector<double> plain(row.begin(), row.end());
    SoftmaxInPlace(1, absl::MakeSpan(plain));
    SoftmaxInPlace(inverse_temperature_, row);
    const double share = weights_[2] / static_cast<double>(row.size());
    for (size_t k = 0; k < row.size(); ++k) row[k] = weights_[0] * row[k] + weights_[1] * plain[k] + share;
  }

 private:
  const double inverse_temperature_;
  const std::vector<double> weights_;
};

// Weights of a mixture by maximum likelihood: `likelihoods` holds a row's under each component.
class MixtureWeights {
 public:
  explicit MixtureWeights(std::vector<Eigen::Vector3d> likelihoods) : likelihoods_(std::move(likelihoods)) {}

  // The weights as a softmax of (0, v), so that they stay on the simplex; one of 0 is approached.
  static Eigen::Vector3d Weights(const Eigen::VectorXd& v) {
    Eigen::Vector3d w(0, v[0], v[1]);
    w = (w.array() - w.maxCoeff()).exp();
    return w / w.sum();
  }

  // Mean negative log-likelihood in v. With r_k = q_k / (w q) its derivatives in w are -r and r r^T.
  LocalModel At(const Eigen::VectorXd& v) const {
    const Eigen::Vector3d w = Weights(v);
    double value = 0;
    Eigen::Vector3d first = Eigen::Vector3d::Zero();
    Eigen::Matrix3d second = Eigen::Matrix3d::Zero();
    for (const Eigen::Vector3d& q : likelihoods_) {
      const double mixed = w.dot(q);
      const Eigen::Vector3d posterior = w.cwiseProduct(q) / mixed;
      value -= std::log(mixed);
      first += posterior;
      second += posterior * posterior.transpose();
    }
    const double rows = static_cast<double>(likelihoods_.size());
    first /= rows;
    second /= rows;
    const Eigen::Vector3d gradient = w - first;
    Eigen::Matrix3d hessian = second - w * w.transpose();
    hessian.diagonal() += w - first;
    return {value / rows, gradient.tail<2>(), hessian.bottomRightCorner<2, 2>()};
  }

  // How far above the minimum the likelihood at these weights can be: by convexity at most max_k mean r_k
  // - 1.
  double Gap(const Eigen::Vector3d& w) const {
    Eigen::Vector3d ratio = Eigen::Vector3d::Zero();
    for (const Eigen::Vector3d& q : likelihoods_) ratio += q / w.dot(q);
    return (ratio / static_cast<double>(likelihoods_.size())).maxCoeff() - 1;
  }

 private:
  const std::vector<Eigen::Vector3d> likelihoods_;
};

std::vector<Eigen::Vector3d> LabelLikelihoods(const LabelledRows& data, double temperature) {
  constexpr double kLeast = 1e-300;  // of a label that underflows: its logarithm stays finite
  const int classes = data.logits.classes();
  std::vector<double> row(classes), plain;
  std::vector<Eigen::Vector3d> likelihoods;
  likelihoods.reserve(data.rows.size());
  for (const int64_t i : data.rows) {
    data.logits.Row(i, row.data());
    plain = row;
    SoftmaxInPlace(1, absl::MakeSpan(plain));
    SoftmaxInPlace(1 / temperature, absl::MakeSpan(row));
    const int32_t label = data.labels[i];
    likelihoods.emplace_back(std::max(row[label], kLeast), std::max(plain[label], kLeast), 1.0 / classes);
  }
  return likelihoods;
}

std::unique_ptr<const ProbabilityMap> Read(int, ParameterReader* reader) {
  const double temperature = ReadTemperature(reader);
  std::vector<double> weights = reader->Values("weights", kComponents);
  double sum = 0;
  for (const double weight : weights) {
    sum += weight;
    if (weight < 0) reader->Fail(absl::StrCat("parameter weights must be >= 0; was ", weight));
  }
  if (std::abs(sum - 1) > 1e-9) reader->Fail(absl::StrCat("parameter weights must sum to 1; sum to ", sum));
  return std::make_unique<EnsembleMap>(temperature, std::move(weights));
}

absl::StatusOr<Fitted> Fit(const LabelledRows& data, const FitProgress& progress) {
  constexpr double kExpectedPasses = 6;
  constexpr double kNegligible = 1e-9;  // a weight that was on its way to 0
  constexpr double kLargestGap = 1e-8;
  double passes = 0;
  const auto keep_going = [&] { return progress(std::min(1.0, passes++ / kExpectedPasses)); };
  const TemperatureFit scaling = FitTemperature(data, keep_going);
  if (scaling.cancelled) return FitCancelled();
  Fitted fitted;
  fitted.iterations = scaling.iterations;
  fitted.converged = scaling.converged;
  fitted.at_bound = scaling.bound != TemperatureFit::Bound::kNone;
  Eigen::Vector3d weights(1, 0, 0);
  if (scaling.bound == TemperatureFit::Bound::kLow) {
    weights = {1 - EpsilonOf(data.size()), 0, EpsilonOf(data.size())};  // as temperature's epsilon-mix
  } else if (scaling.bound == TemperatureFit::Bound::kNone || scaling.bound == TemperatureFit::Bound::kHigh) {
    const MixtureWeights mixture(LabelLikelihoods(data, scaling.temperature));
    const NewtonResult fit = MinimiseByNewton([&](const Eigen::VectorXd& v) { return mixture.At(v); },
                                              Eigen::VectorXd::Zero(kComponents - 1), keep_going);
    if (fit.cancelled) return FitCancelled();
    weights = MixtureWeights::Weights(fit.x);
    weights = (weights.array() < kNegligible).select(0, weights);
    weights /= weights.sum();
    fitted.iterations += fit.iterations;
    fitted.converged = mixture.Gap(weights) < kLargestGap;
  }
  fitted.spec = {CalibrationMethod::kEnsembleTemperature,
                 data.logits.classes(),
                 {{"temperature", {scaling.temperature}}, {"weights", {weights[0], weights[1], weights[2]}}}};
  return fitted;
}

}  // namespace

Method EnsembleTemperatureMethod() {
  return {.id = CalibrationMethod::kEnsembleTemperature,
          .name = "ensemble_temperature",
          .two_classes_only = false,
          .on_more_classes = CalibrationMethod::kEnsembleTemperature,
          .keeps_prediction = true,
          .read = Read,
          .fit = Fit};
}

}  // namespace calserve
