#include "calibration/metrics/detailed_metrics.h"

#include <utility>

#include "calibration/labelled_rows.h"
#include "calibration/metrics/auroc.h"
#include "calibration/metrics/binned_errors.h"
#include "calibration/metrics/cumulative_tests.h"
#include "calibration/metrics/debiased_test.h"
#include "calibration/metrics/smooth_ece.h"
#include "calibration/metrics/spiegelhalter.h"

namespace calserve {
namespace {

constexpr int kTestDraws = 1000;

bool GoesOn(const DetailOptions& options) { return options.go_on == nullptr || options.go_on(); }

// What is computed of confidence and correctness alone.
DetailedMetrics TopLabelDetails(absl::Span<const ConfidenceGroup> groups, const DetailOptions& options) {
  DetailedMetrics out;
  int64_t right = 0;
  MeanEstimate gap;
  for (const ConfidenceGroup& group : groups) {
    right += group.correct;
    gap.AddMany(group.confidence - 1, group.correct);
    gap.AddMany(group.confidence, group.count - group.correct);
  }
  out.n = gap.n();
  out.mce_least_count = options.mce_least_count;
  if (out.n == 0 || !GoesOn(options)) return out;

  const std::vector<ReliabilityBin> equal_width = EqualWidthBins(groups, options.bins);
  std::vector<ReliabilityBin> equal_mass = EqualMassBins(groups, options.bins);
  const EceSweep sweep = SweepCalibrationError(groups);
  out.accuracy = WilsonEstimate(right, out.n);
  out.confidence_gap = gap.Get();
  out.rms_calibration_error = RmsCalibrationError(equal_width);
  out.mce = MaximumCalibrationError(equal_width, options.mce_least_count);
  out.debiased_l2 = DebiasedL2(equal_mass);
  out.adaptive_ece = ExpectedCalibrationErrorWithInterval(std::move(equal_mass));
  out.ece_sweep = sweep.value;
  out.ece_sweep_bins = sweep.bins;
  if (!GoesOn(options)) return out;
  out.smooth_ece = SmoothEce(groups);
  out.kolmogorov_smirnov = KolmogorovSmirnovTest(groups);
  out.kuiper = KuiperTest(groups);
  out.spiegelhalter = SpiegelhalterTest(groups);
  out.debiased_test = DebiasedCalibrationTest(groups, DebiasedTestBins(out.n), kTestDraws, options.go_on);
  out.auroc = ConfidenceAuroc(groups);
  return out;
}

}  // namespace

void DetailedAccumulator::Add(float confidence, bool correct) {
  confidences_.push_back(confidence);
  correct_.push_back(correct ? 1 : 0);
}

void DetailedAccumulator::AddProbabilities(absl::Span<const float> probabilities, int label) {
  if (classes_ == 0) {
    classes_ = probabilities.size();
    const int classes = static_cast<int>(classes_);
    all_.emplace(classes, options_.bins, 0);
    above_threshold_.emplace(classes, options_.bins, options_.class_threshold);
  }
  if (probabilities.size() != classes_) return;
  nll_.Add(RowNll(probabilities, label));
  brier_.Add(RowBrier(probabilities, label));
  all_->Add(probabilities, label);
  above_threshold_->Add(probabilities, label);
}

absl::StatusOr<DetailedMetrics> DetailedAccumulator::Metrics() const {
  const absl::StatusOr<std::vector<ConfidenceGroup>> groups = GroupByConfidence(confidences_, correct_);
  if (!groups.ok()) return groups.status();
  DetailedMetrics out = TopLabelDetails(*groups, options_);
  if (!GoesOn(options_)) return absl::CancelledError("cancelled while details were computed");
  out.class_threshold = options_.class_threshold;
  out.n_with_logits = nll_.n();
  if (out.n_with_logits == 0) return out;
  out.nll = nll_.Get();
  out.brier = brier_.Get();
  out.brier_parts = all_->Decompose(out.brier->value);
  out.classwise_ece = all_->CalibrationError();
  out.classwise_ece_thresholded = above_threshold_->CalibrationError();
  return out;
}

absl::StatusOr<DetailedMetrics> EvaluateDetailed(const Calibrator& calibrator, LogitsView logits,
                                                 absl::Span<const int32_t> labels,
                                                 const DetailOptions& options) {
  if (absl::Status status = CheckEvaluation(calibrator, logits, labels, options.bins); !status.ok()) {
    return status;
  }
  DetailedAccumulator accumulator(options);
  ForEachRow(calibrator, AllRows(logits, labels), [&](const AppliedRow& row) {
    accumulator.Add(row.probabilities[row.predicted], row.predicted == row.label);
    accumulator.AddProbabilities(row.probabilities, row.label);
  });
  return accumulator.Metrics();
}

}  // namespace calserve
