// beta               p_1 = 1 / (1 + exp(-(a ln s - b ln(1 - s) + c))), s = softmax(z)_1, a, b >= 0  (Kull et
// al., 2017) beta_one_vs_rest   p_k ∝ the same of s = softmax(z)_k, with a, b and c of class k; uniform where
// all are 0
//
// Maximum likelihood under a, b >= 0, which keeps p rising with s: where the free maximum has a negative
// coefficient, the other is fitted without it. Where no row of the class scores below one of another, so that
// the maximum is at infinity, the targets are smoothed as Platt's are; so they are where a class has no row.

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "calibration/methods/log_odds.h"
#include "calibration/methods/methods.h"
#include "calibration/methods/newton.h"
#include "calibration/methods/one_vs_rest.h"
#include "calibration/row_kernels.h"
#include "calibration/softmax.h"

namespace calserve {
namespace {

constexpr double kLargest = 1e100;

// ln(1 + exp(x)).
double Softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

// a ln s - b ln(1 - s) + c, at the log-odds f of s.
struct Curve {
  double a = 0, b = 0, c = 0;
  double At(double f) const { return b * Softplus(f) - a * Softplus(-f) + c; }
};

class BinaryMap final : public ProbabilityMap {
 public:
  explicit BinaryMap(Curve curve) : curve_(curve) {}

  void Apply(absl::Span<double> row) const override {
    const double t = curve_.At(row[1] - row[0]);
    row[0] = LogisticOfMinus(t);
    row[1] = LogisticOfMinus(-t);
  }

 private:
  const Curve curve_;
};

class OneVsRestMap final : public ProbabilityMap {
 public:
  explicit OneVsRestMap(std::vector<Curve> curves) : curves_(std::move(curves)) {}

  void Apply(absl::Span<double> row) const override {
    LogOddsInPlace(row);
    for (size_t k = 0; k < row.size(); ++k) row[k] = LogisticOfMinus(-curves_[k].At(row[k]));
    NormaliseInPlace(row);
  }

 private:
  const std::vector<Curve> curves_;
};

// Mean cross-entropy of 1 / (1 + exp(-x)), x = (features, 1) · parameters, against the rows' targets.
class CrossEntropy {
 public:
  CrossEntropy(absl::Span<const double> scores, absl::Span<const uint8_t> positive) {
    double least[2], most[2];
    std::fill_n(least, 2, std::numeric_limits<double>::infinity());
    std::fill_n(most, 2, -std::numeric_limits<double>::infinity());
    double rows[2] = {0, 0};
    for (size_t i = 0; i < scores.size(); ++i) {
      const int label = positive[i];
      least[label] = std::min(least[label], scores[i]);
      most[label] = std::max(most[label], scores[i]);
      rows[label] += 1;
      scale_ = std::max(scale_, Softplus(std::abs(scores[i])));
    }
    for (const double score : scores) {
      ln_.push_back(-Softplus(-score) / scale_);
      minus_ln_rest_.push_back(Softplus(score) / scale_);
    }
    separable_ = most[0] <= least[1];
    const double high = separable_ ? (rows[1] + 1) / (rows[1] + 2) : 1;
    const double low = separable_ ? 1 / (rows[0] + 2) : 0;
    for (size_t i = 0; i < ln_.size(); ++i) {
      const double target = positive[i] != 0 ? high : low;
      target_sums_[0] += target * ln_[i];
      target_sums_[1] += target * minus_ln_rest_[i];
      target_sums_[2] += target;
    }
    start_offset_ = std::log((rows[1] + 1) / (rows[0] + 1));
  }

  bool separable() const { return separable_; }

  // Its minimum over the coefficients of ln s (where `with_a`) and -ln(1 - s) (`with_b`), and the offset.
  NewtonResult Minimise(bool with_a, bool with_b, const std::function<bool()>& keep_going) const {
    std::vector<size_t> used;  // of (a, b, c)
    if (with_a) used.push_back(0);
    if (with_b) used.push_back(1);
    used.push_back(2);
    const auto size = static_cast<Eigen::Index>(used.size());
    const auto at = [&](const Eigen::VectorXd& parameters) {
      std::array<double, 3> all = {0, 0, 0};
      for (size_t j = 0; j < used.size(); ++j) all[used[j]] = parameters[static_cast<Eigen::Index>(j)];
      const Sums sums = At(all);
      LocalModel model{sums.value, Eigen::VectorXd(size), Eigen::MatrixXd(size, size)};
      for (Eigen::Index i = 0; i < size; ++i) {
        model.gradient[i] = sums.gradient[used[static_cast<size_t>(i)]];
        for (Eigen::Index j = 0; j < size; ++j) {
          model.hessian(i, j) = sums.hessian[used[static_cast<size_t>(i)]][used[static_cast<size_t>(j)]];
        }
      }
      return model;
    };
    Eigen::VectorXd start = Eigen::VectorXd::Zero(size);
    start[size - 1] = start_offset_;
    NewtonResult result = MinimiseByNewton(at, start, keep_going);
    result.x.head(size - 1) /= scale_;
    return result;
  }

 private:
  struct Sums {
    double value = 0;
    std::array<double, 3> gradient{};
    std::array<std::array<double, 3>, 3> hessian{};
  };

  // Of all three parameters, those of the features scaled.
  Sums At(const std::array<double, 3>& parameters) const {
    const LogisticSums s = SumLogistic(ln_, minus_ln_rest_, parameters[0], parameters[1], parameters[2]);
    const double rows = static_cast<double>(ln_.size());
    double of_targets = 0;  // sum t x
    for (size_t j = 0; j < 3; ++j) of_targets += parameters[j] * target_sums_[j];
    return {
        (s.softplus - of_targets) / rows,
        {(s.pa - target_sums_[0]) / rows, (s.pb - target_sums_[1]) / rows, (s.p - target_sums_[2]) / rows},
        {{{s.waa / rows, s.wab / rows, s.wa / rows},
          {s.wab / rows, s.wbb / rows, s.wb / rows},
          {s.wa / rows, s.wb / rows, s.w / rows}}}};
  }

  std::vector<double> ln_, minus_ln_rest_;         // ln s and -ln(1 - s) by scale_
  std::array<double, 3> target_sums_ = {0, 0, 0};  // sum over rows of the target times each feature and 1
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

// What one class against the others gave.
struct OneFit {
  Curve curve;
  bool converged = false, at_bound = false, cancelled = false;
  int iterations = 0;
};

OneFit FitCurve(absl::Span<const double> scores, absl::Span<const uint8_t> positive,
                const std::function<bool()>& keep_going) {
  const CrossEntropy entropy(scores, positive);
  const Solution solution = MinimiseInQuadrant(entropy, keep_going);
  if (solution.fit.cancelled) return {.cancelled = true};
  return {.curve = {solution.a, solution.b, solution.fit.x[solution.fit.x.size() - 1]},
          .converged = solution.fit.converged,
          .at_bound = entropy.separable() || solution.a + solution.b == 0,
          .iterations = solution.fit.iterations};
}

std::vector<Curve> ReadCurves(size_t count, ParameterReader* reader) {
  const std::vector<double> a = reader->Values("a", count, kLargest);
  const std::vector<double> b = reader->Values("b", count, kLargest);
  const std::vector<double> c = reader->Values("c", count, kLargest);
  std::vector<Curve> curves;
  for (size_t k = 0; k < count; ++k) {
    if (a[k] < 0 || b[k] < 0) {
      reader->Fail(absl::StrCat("parameters a and b must be >= 0; were ", a[k], " and ", b[k]));
    }
    curves.push_back({a[k], b[k], c[k]});
  }
  return curves;
}

std::unique_ptr<const ProbabilityMap> ReadBinary(int, ParameterReader* reader) {
  return std::make_unique<BinaryMap>(ReadCurves(1, reader)[0]);
}

std::unique_ptr<const ProbabilityMap> ReadOneVsRest(int classes, ParameterReader* reader) {
  return std::make_unique<OneVsRestMap>(ReadCurves(static_cast<size_t>(classes), reader));
}

CalibratorSpec SpecOf(CalibrationMethod method, int classes, const std::vector<Curve>& curves) {
  CalibratorSpec::Parameter a{"a", {}}, b{"b", {}}, c{"c", {}};
  for (const Curve& curve : curves) {
    a.values.push_back(curve.a);
    b.values.push_back(curve.b);
    c.values.push_back(curve.c);
  }
  return {method, classes, {std::move(a), std::move(b), std::move(c)}};
}

absl::StatusOr<Fitted> FitBinary(const LabelledRows& data, const FitProgress& progress) {
  constexpr double kExpectedPasses = 15;
  double passes = 0;
  std::vector<double> scores;
  std::vector<uint8_t> positive;
  for (const int64_t i : data.rows) {
    scores.push_back(data.logits.At(i, 1) - data.logits.At(i, 0));
    positive.push_back(data.labels[i] == 1);
  }
  const OneFit fit =
      FitCurve(scores, positive, [&] { return progress(std::min(1.0, passes++ / kExpectedPasses)); });
  if (fit.cancelled) return FitCancelled();
  Fitted fitted;
  fitted.spec = SpecOf(CalibrationMethod::kBeta, 2, {fit.curve});
  fitted.converged = fit.converged;
  fitted.iterations = fit.iterations;
  fitted.at_bound = fit.at_bound;
  return fitted;
}

absl::StatusOr<Fitted> FitOneVsRest(const LabelledRows& data, const FitProgress& progress) {
  const int classes = data.logits.classes();
  const LogOddsOfClass log_odds(data);
  std::vector<double> scores(data.rows.size());
  std::vector<uint8_t> positive(data.rows.size());
  std::vector<Curve> curves;
  Fitted fitted;
  for (int k = 0; k < classes; ++k) {
    log_odds.Fill(k, absl::MakeSpan(scores));
    for (size_t index = 0; index < positive.size(); ++index) {
      positive[index] = data.labels[data.rows[index]] == k;
    }
    const OneFit fit = FitCurve(scores, positive, [&] { return progress(static_cast<double>(k) / classes); });
    if (fit.cancelled) return FitCancelled();
    curves.push_back(fit.curve);
    fitted.converged = fitted.converged && fit.converged;
    fitted.iterations = std::max(fitted.iterations, fit.iterations);
    fitted.at_bound = fitted.at_bound || fit.at_bound;
  }
  fitted.spec = SpecOf(CalibrationMethod::kBetaOneVsRest, classes, curves);
  return fitted;
}

}  // namespace

Method BetaMethod() {
  return {.id = CalibrationMethod::kBeta,
          .name = "beta",
          .two_classes_only = true,
          .on_more_classes = CalibrationMethod::kBetaOneVsRest,
          .keeps_prediction = false,
          .read = ReadBinary,
          .fit = FitBinary};
}

Method BetaOneVsRestMethod() {
  return {.id = CalibrationMethod::kBetaOneVsRest,
          .name = "beta_one_vs_rest",
          .two_classes_only = false,
          .on_more_classes = CalibrationMethod::kBetaOneVsRest,
          .keeps_prediction = false,
          .read = ReadOneVsRest,
          .fit = FitOneVsRest};
}

}  // namespace calserve
