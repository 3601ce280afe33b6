// platt              p_1 = 1 / (1 + exp(A f + B)), f = z_1 - z_0                                 (Platt,
// 1999) platt_one_vs_rest  p_k ∝ 1 / (1 + exp(A_k f_k + B_k)), f = log_softmax(z); uniform where all are 0

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "calibration/methods/methods.h"
#include "calibration/methods/one_vs_rest.h"
#include "calibration/platt_fit.h"
#include "calibration/row_kernels.h"
#include "calibration/softmax.h"

namespace calserve {
namespace {

class BinaryMap final : public ProbabilityMap {
 public:
  BinaryMap(double slope, double offset) : slope_(slope), offset_(offset) {}

  // Each side from its own exponential: 1 - p would lose a small p.
  void Apply(absl::Span<double> row) const override {
    const double t = slope_ * (row[1] - row[0]) + offset_;
    row[0] = LogisticOfMinus(-t);
    row[1] = LogisticOfMinus(t);
  }

 private:
  const double slope_, offset_;
};

class OneVsRestMap final : public ProbabilityMap {
 public:
  OneVsRestMap(std::vector<double> slopes, std::vector<double> offsets)
      : slopes_(std::move(slopes)), offsets_(std::move(offsets)) {}

  void Apply(absl::Span<double> row) const override {
    LogSoftmaxInPlace(row);
    std::vector<double> exponent(row.size());
    for (size_t k = 0; k < row.size(); ++k) {
      row[k] = slopes_[k] * row[k] + offsets_[k];
      exponent[k] = -std::abs(row[k]);
    }
    ExpOfNonPositive(absl::MakeSpan(exponent));
    for (size_t k = 0; k < row.size(); ++k) row[k] = (row[k] > 0 ? exponent[k] : 1) / (1 + exponent[k]);
    NormaliseInPlace(row);
  }

 private:
  const std::vector<double> slopes_, offsets_;
};

std::unique_ptr<const ProbabilityMap> ReadBinary(int, ParameterReader* reader) {
  const double slope = reader->Value("slope");
  return std::make_unique<BinaryMap>(slope, reader->Value("offset"));
}

std::unique_ptr<const ProbabilityMap> ReadOneVsRest(int classes, ParameterReader* reader) {
  const size_t length = static_cast<size_t>(classes);
  std::vector<double> slopes = reader->Values("slope", length);
  return std::make_unique<OneVsRestMap>(std::move(slopes), reader->Values("offset", length));
}

absl::StatusOr<Fitted> FitBinary(const LabelledRows& data, const FitProgress& progress) {
  constexpr double kExpectedSteps = 8;
  std::vector<double> scores;
  std::vector<uint8_t> positive;
  for (const int64_t i : data.rows) {
    scores.push_back(data.logits.At(i, 1) - data.logits.At(i, 0));
    positive.push_back(data.labels[i] == 1);
  }
  double steps = 0;
  const PlattFit fit =
      FitPlatt(scores, positive, [&] { return progress(std::min(1.0, steps++ / kExpectedSteps)); });
  if (fit.cancelled) return FitCancelled();
  Fitted fitted;
  fitted.spec = {CalibrationMethod::kPlatt, 2, {{"slope", {fit.slope}}, {"offset", {fit.offset}}}};
  fitted.converged = fit.converged;
  fitted.iterations = fit.iterations;
  fitted.at_bound = !fit.overlapping;
  return fitted;
}

absl::StatusOr<Fitted> FitOneVsRest(const LabelledRows& data, const FitProgress& progress) {
  const int classes = data.logits.classes();
  std::vector<double> log_sums, row(classes);
  bool all_correct = true;
  for (const int64_t i : data.rows) {
    data.logits.Row(i, row.data());
    log_sums.push_back(LogSumExp(row));
    all_correct = all_correct && row[data.labels[i]] == Max(row);
  }
  Fitted fitted;
  fitted.at_bound = all_correct;
  std::vector<double> slopes, offsets, scores(data.rows.size());
  std::vector<uint8_t> positive(data.rows.size());
  for (int k = 0; k < classes; ++k) {
    const auto keep_going = [&] { return progress(static_cast<double>(k) / classes); };
    for (size_t index = 0; index < data.rows.size(); ++index) {
      const int64_t i = data.rows[index];
      scores[index] = data.logits.At(i, k) - log_sums[index];
      positive[index] = data.labels[i] == k;
    }
    const PlattFit fit = FitPlatt(scores, positive, keep_going);
    if (fit.cancelled) return FitCancelled();
    slopes.push_back(fit.slope);
    offsets.push_back(fit.offset);
    fitted.converged = fitted.converged && fit.converged;
    fitted.iterations = std::max(fitted.iterations, fit.iterations);
    fitted.at_bound = fitted.at_bound || !fit.overlapping;
  }
  fitted.spec = {CalibrationMethod::kPlattOneVsRest, classes, {{"slope", slopes}, {"offset", offsets}}};
  return fitted;
}

}  // namespace

Method PlattMethod() {
  return {.id = CalibrationMethod::kPlatt,
          .name = "platt",
          .two_classes_only = true,
          .on_more_classes = CalibrationMethod::kPlattOneVsRest,
          .keeps_prediction = false,
          .read = ReadBinary,
          .fit = FitBinary};
}

Method PlattOneVsRestMethod() {
  return {.id = CalibrationMethod::kPlattOneVsRest,
          .name = "platt_one_vs_rest",
          .two_classes_only = false,
          .on_more_classes = CalibrationMethod::kPlattOneVsRest,
          .keeps_prediction = false,
          .read = ReadOneVsRest,
          .fit = FitOneVsRest};
}

}  // namespace calserve
