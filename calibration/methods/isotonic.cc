// isotonic              p_1 = g(z_1 - z_0)
// isotonic_one_vs_rest  p_k ∝ g_k(log p_k - log(1 - p_k)), p = softmax(z)      (Zadrozny and Elkan, 2002)
//
// g never falls and is the least-squares fit to the labels (FitIsotonic). Where g is flat, classes of one row
// tie; class_order.h orders equal probabilities by their logits.

#include <utility>
#include <vector>

#include "calibration/methods/isotonic_curve.h"
#include "calibration/methods/log_odds.h"
#include "calibration/methods/methods.h"
#include "calibration/methods/one_vs_rest.h"

namespace calserve {
namespace {

class BinaryMap final : public ProbabilityMap {
 public:
  explicit BinaryMap(IsotonicCurve curve) : curve_(std::move(curve)) {}

  void Apply(absl::Span<double> row) const override {
    row[1] = curve_.At(row[1] - row[0]);
    row[0] = 1 - row[1];
  }

 private:
  const IsotonicCurve curve_;
};

class OneVsRestMap final : public ProbabilityMap {
 public:
  explicit OneVsRestMap(std::vector<IsotonicCurve> curves) : curves_(std::move(curves)) {}

  void Apply(absl::Span<double> row) const override {
    LogOddsInPlace(row);
    for (size_t k = 0; k < row.size(); ++k) row[k] = curves_[k].At(row[k]);
    NormaliseInPlace(row);
  }

 private:
  const std::vector<IsotonicCurve> curves_;
};

std::unique_ptr<const ProbabilityMap> ReadBinary(int, ParameterReader* reader) {
  std::vector<IsotonicCurve> curves = ReadIsotonic(1, reader);
  if (curves.empty()) return nullptr;
  return std::make_unique<BinaryMap>(std::move(curves.front()));
}

std::unique_ptr<const ProbabilityMap> ReadOneVsRest(int classes, ParameterReader* reader) {
  return std::make_unique<OneVsRestMap>(ReadIsotonic(classes, reader));
}

absl::StatusOr<Fitted> FitBinary(const LabelledRows& data, const FitProgress& progress) {
  std::vector<double> scores;
  std::vector<uint8_t> positive;
  for (const int64_t i : data.rows) {
    scores.push_back(data.logits.At(i, 1) - data.logits.At(i, 0));
    positive.push_back(data.labels[i] == 1);
  }
  if (!progress(0.3)) return FitCancelled();
  Fitted fitted;
  fitted.spec = {CalibrationMethod::kIsotonic, 2, {}};
  fitted.iterations = 1;
  WriteIsotonic({FitIsotonic(scores, positive)}, &fitted.spec.parameters);
  return fitted;
}

absl::StatusOr<Fitted> FitOneVsRest(const LabelledRows& data, const FitProgress& progress) {
  const int classes = data.logits.classes();
  const LogOddsOfClass log_odds(data);
  std::vector<double> scores(data.rows.size());
  std::vector<uint8_t> positive(data.rows.size());
  std::vector<IsotonicCurve> curves;
  for (int k = 0; k < classes; ++k) {
    if (!progress(static_cast<double>(k) / classes)) return FitCancelled();
    log_odds.Fill(k, absl::MakeSpan(scores));
    for (size_t index = 0; index < positive.size(); ++index) {
      positive[index] = data.labels[data.rows[index]] == k;
    }
    curves.push_back(FitIsotonic(scores, positive));
  }
  Fitted fitted;
  fitted.spec = {CalibrationMethod::kIsotonicOneVsRest, classes, {}};
  fitted.iterations = 1;
  WriteIsotonic(curves, &fitted.spec.parameters);
  return fitted;
}

}  // namespace

Method IsotonicMethod() {
  return {.id = CalibrationMethod::kIsotonic,
          .name = "isotonic",
          .two_classes_only = true,
          .on_more_classes = CalibrationMethod::kIsotonicOneVsRest,
          .keeps_prediction = false,
          .read = ReadBinary,
          .fit = FitBinary};
}

Method IsotonicOneVsRestMethod() {
  return {.id = CalibrationMethod::kIsotonicOneVsRest,
          .name = "isotonic_one_vs_rest",
          .two_classes_only = false,
          .on_more_classes = CalibrationMethod::kIsotonicOneVsRest,
          .keeps_prediction = false,
          .read = ReadOneVsRest,
          .fit = FitOneVsRest};
}

}  // namespace calserve
