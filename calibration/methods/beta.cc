// p_1 = 1 / (1 + exp(-(a ln s - b ln(1 - s) + c))), s = softmax(z)_1, a, b >= 0         (Kull et al., 2017)
//
// Maximum likelihood under a, b >= 0, which keeps p_1 rising with s: where the free maximum has a negative
// coefficient, the other is fitted without it. Where no row of class 1 scores below one of class 0, so that
// the maximum is at infinity, the targets are smoothed as Platt's are.

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "calibration/methods/methods.h"
#include "calibration/methods/newton.h"
#include "calibration/softmax.h"

namespace calserve {
namespace {

constexpr double kLargest = 1e100;

// ln(1 + exp(x)).
double Softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

class BetaMap final : public ProbabilityMap {
 public:
  BetaMap(double a, double b, double c) : a_(a), b_(b), c_(c) {}

  void Apply(absl::Span<double> row) const override {
    const double f = row[1] - row[0];
    const double t = b_ * Softplus(f) - a_ * Softplus(-f) + c_;
    row[0] = LogisticOfMinus(t);
    row[1] = LogisticOfMinus(-t);
  }

 private:
  const double a_, b_, c_;
};

// Mean cross-entropy of 1 / (1 + exp(-x)), x = (features, 1) · parameters, against the rows' targets.
class CrossEntropy {
 public:
  explicit CrossEntropy(const LabelledRows& data) {
    double least[2], most[2];
    std::fill_n(least, 2, std::numeric_limits<double>::infinity());
    std::fill_n(most, 2, -std::numeric_limits<double>::infinity());
    double rows[2] = {0, 0};
    for (const int64_t i : data.rows) {
      const double f = data.logits.At(i, 1) - data.logits.At(i, 0);
      const int label = data.labels[i];
      least[label] = std::min(least[label], f);
      most[label] = std::max(most[label], f);
      rows[label] += 1;
      scores_.push_back(f);
      targets_.push_back(label);
      scale_ = std::max(scale_, Softplus(std::abs(f)));
    }
    separable_ = most[0] <= least[1];
    if (separable_) {
      for (double& target : targets_) target = target > 0 ? (rows[1] + 1) / (rows[1] + 2) : 1 / (rows[0] + 2);
    }
    start_offset_ = std::log((rows[1] + 1) / (rows[0] + 1));
  }

  bool separable() const { return separable_; }

  // Its minimum over the coefficients of ln s (where `with_a`) and -ln(1 - s) (`with_b`), and the offset.
  NewtonResult Minimise(bool with_a, bool with_b, const std::function<bool()>& keep_going) const {
    const Eigen::Index size = (with_a ? 1 : 0) + (with_b ? 1 : 0) + 1;
    const auto at = [&](const Eigen::VectorXd& parameters) {
      LocalModel model{0, Eigen::VectorXd::Zero(size), Eigen::MatrixXd::Zero(size, size)};
      Eigen::VectorXd feature = Eigen::VectorXd::Ones(size);
      for (size_t i = 0; i < scores_.size(); ++i) {
        if (with_a) feature[0] = -Softplus(-scores_[i]) / scale_;
        if (with_b) feature[with_a ? 1 : 0] = Softplus(scores_[i]) / scale_;
        const double x = feature.dot(parameters);
        const double p = LogisticOfMinus(-x), q = LogisticOfMinus(x);
        model.value += Softplus(x) - targets_[i] * x;
        model.gradient += (p - targets_[i]) * feature;
        model.hessian += p * q * feature * feature.transpose();
      }
      const double rows = static_cast<double>(scores_.size());
      return LocalModel{model.value / rows, model.gradient / rows, model.hessian / rows};
    };
    Eigen::VectorXd start = Eigen::VectorXd::Zero(size);
    start[size - 1] = start_offset_;
    NewtonResult result = MinimiseByNewton(at, start, keep_going);
    result.x.head(size - 1) /= scale_;
    return result;
  }

 private:
  std::vector<double> scores_, targets_;
  double scale_ = 1;  // of the features, so that neither tiny nor huge ones upset the Hessian
  bool separable_ = false;
  double start_offset_ = 0;
};

struct Solution {
  double a = 0, b = 0;
  NewtonResult fit;
};

// The likelier of the fits without a negative coefficient.
Solution MinimiseInQuadrant(const CrossEntropy& entropy, const std::function<bool()>& keep_going) {
  Solution both{0, 0, entropy.Minimise(true, true, keep_going)};
  both.a = both.fit.x[0];
  both.b = both.fit.x[1];
  if (both.fit.cancelled || (both.a >= 0 && both.b >= 0)) return both;
  Solution best{0, 0, entropy.Minimise(false, false, keep_going)};
  const auto consider = [&](const Solution& one, double coefficient) {
    if (!best.fit.cancelled && (one.fit.cancelled || (coefficient >= 0 && one.fit.value < best.fit.value))) {
      best = one;
    }
  };
  if (both.a < 0) {
    Solution only_b{0, 0, entropy.Minimise(false, true, keep_going)};
    only_b.b = only_b.fit.x[0];
    consider(only_b, only_b.b);
  }
  if (both.b < 0) {
    Solution only_a{0, 0, entropy.Minimise(true, false, keep_going)};
    only_a.a = only_a.fit.x[0];
    consider(only_a, only_a.a);
  }
  return best;
}

std::unique_ptr<const ProbabilityMap> Read(int, ParameterReader* reader) {
  const double a = reader->Values("a", 1, kLargest)[0];
  const double b = reader->Values("b", 1, kLargest)[0];
  const double c = reader->Values("c", 1, kLargest)[0];
  if (a < 0 || b < 0) {
    reader->Fail(absl::StrCat("parameters a and b must be >= 0; were ", a, " and ", b));
  }
  return std::make_unique<BetaMap>(a, b, c);
}

absl::StatusOr<Fitted> Fit(const LabelledRows& data, const FitProgress& progress) {
  constexpr double kExpectedPasses = 15;
  double passes = 0;
  const CrossEntropy entropy(data);
  const Solution solution =
      MinimiseInQuadrant(entropy, [&] { return progress(std::min(1.0, passes++ / kExpectedPasses)); });
  if (solution.fit.cancelled) return FitCancelled();
  Fitted fitted;
  fitted.spec = {
      CalibrationMethod::kBeta,
      2,
      {{"a", {solution.a}}, {"b", {solution.b}}, {"c", {solution.fit.x[solution.fit.x.size() - 1]}}}};
  fitted.converged = solution.fit.converged;
  fitted.iterations = solution.fit.iterations;
  fitted.at_bound = entropy.separable() || solution.a + solution.b == 0;
  return fitted;
}

}  // namespace

Method BetaMethod() {
  return {.id = CalibrationMethod::kBeta,
          .name = "beta",
          .two_classes_only = true,
          .on_more_classes = CalibrationMethod::kBeta,
          .keeps_prediction = false,
          .read = Read,
          .fit = Fit};
}

}  // namespace calserve
