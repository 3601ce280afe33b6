#include "calibration/metrics.h"

#include <algorithm>
#include <cmath>

#include "calibration/bin_edges.h"
#include "calibration/labelled_rows.h"
#include "calibration/metrics_accumulator.h"

namespace calserve {

int BinIndex(double confidence, int bins) {
  return FindBin(confidence, bins, [bins](int j) { return static_cast<double>(j) / bins; });
}

double RowNll(absl::Span<const float> probabilities, int label) {
  const double nll =
      0 - std::log(static_cast<double>(probabilities[label]));  // not -log, which is -0 for p = 1
  return std::clamp(nll, 0.0, kMaxNll);
}

double RowBrier(absl::Span<const float> probabilities, int label) {
  double sum = 0;
  for (size_t k = 0; k < probabilities.size(); ++k) {
    const double error = probabilities[k] - (static_cast<int>(k) == label ? 1.0 : 0.0);
    sum += error * error;
  }
  return sum;
}

absl::StatusOr<CalibrationMetrics> EvaluateTopLabel(absl::Span<const float> confidences,
                                                    absl::Span<const uint8_t> correct, int bins) {
  if (absl::Status status = CheckBins(bins); !status.ok()) return status;
  if (absl::Status status = CheckTopLabel(confidences, correct); !status.ok()) return status;
  MetricsAccumulator accumulator(bins);
  for (size_t i = 0; i < confidences.size(); ++i) accumulator.Add(confidences[i], correct[i] == 1);
  CalibrationMetrics metrics = accumulator.Metrics();
  AddEceInterval(&metrics);
  return metrics;
}

absl::StatusOr<CalibrationMetrics> Evaluate(const Calibrator& calibrator, LogitsView logits,
                                            absl::Span<const int32_t> labels, int bins) {
  if (absl::Status status = CheckEvaluation(calibrator, logits, labels, bins); !status.ok()) return status;
  MetricsAccumulator accumulator(bins);
  AddRows(calibrator, AllRows(logits, labels), &accumulator);
  CalibrationMetrics metrics = accumulator.Metrics();
  AddEceInterval(&metrics);
  return metrics;
}

}  // namespace calserve
