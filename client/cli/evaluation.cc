#include "client/cli/evaluation.h"

#include "absl/strings/str_cat.h"
#include "calibration/calibrator.h"

namespace calserve::cli {

void Evaluation::AddRow(absl::Span<const float> probabilities, absl::Span<const float> logits, int32_t label,
                        Rows* rows) {
  const int predicted = Calibrator::PredictedClass(probabilities, logits);
  rows->confidences.push_back(probabilities[predicted]);
  rows->correct.push_back(predicted == label);
  rows->nll += RowNll(probabilities, label);
  rows->brier += RowBrier(probabilities, label);
}

absl::Status Evaluation::Add(const client::Prediction& prediction, int32_t label) {
  const int classes = static_cast<int>(prediction.probabilities.size());
  if (classes < 2 || prediction.logits.empty() || label < 0 || label >= classes) {
    return absl::InvalidArgumentError(absl::StrCat("a prediction over ", classes, " classes with ",
                                                   prediction.logits.size(),
                                                   " logits cannot be scored with label ", label));
  }
  std::vector<float> softmax(classes);
  const absl::Status applied = Calibrator::None(classes).Apply(prediction.logits, absl::MakeSpan(softmax));
  if (!applied.ok()) return applied;
  AddRow(prediction.probabilities, prediction.logits, label, &served_);
  AddRow(softmax, prediction.logits, label, &uncalibrated_);
  return absl::OkStatus();
}

absl::StatusOr<CalibrationMetrics> Evaluation::Measure(const Rows& rows) {
  absl::StatusOr<CalibrationMetrics> metrics = EvaluateTopLabel(rows.confidences, rows.correct);
  if (!metrics.ok() || metrics->n == 0) return metrics;
  metrics->n_with_logits = metrics->n;
  metrics->nll = rows.nll / static_cast<double>(metrics->n);
  metrics->brier = rows.brier / static_cast<double>(metrics->n);
  return metrics;
}

}  // namespace calserve::cli
