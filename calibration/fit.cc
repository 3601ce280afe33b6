#include "calibration/fit.h"

#include <algorithm>
#include <cstddef>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "calibration/folds.h"
#include "calibration/labelled_rows.h"
#include "calibration/metrics_accumulator.h"
#include "calibration/platt_fit.h"
#include "calibration/row_kernels.h"
#include "calibration/softmax.h"
#include "calibration/temperature_fit.h"

namespace calserve {
namespace {

constexpr int kMinFolds = 2, kMaxFolds = 20;

// What a fit on some rows found.
struct Fitted {
  CalibratorSpec spec;
  bool converged = true;
  int iterations = 0;
  bool at_bound = false;
};

// Returns false to cancel; told the share of the stage that is done.
using Progress = std::function<bool(double)>;

absl::Status Cancelled() { return absl::CancelledError("the fit was cancelled"); }

// The epsilon-mix (probmetrics' ts-mix) is on only where the fit stops at the lowest temperature: there
// softmax(z / T) is all but one-hot, and one wrong row in the future would cost an unbounded loss. With 1 /
// (n + 1) it costs no more than n right ones have earned. Every other fit stays plain temperature scaling,
// comparable with other packages.
absl::StatusOr<Fitted> FitTemperatureSpec(const LabelledRows& data, const Progress& progress) {
  constexpr double kExpectedPasses = 4;
  double passes = 0;
  const TemperatureFit fit = FitTemperature(
      data, [&] { return progress == nullptr || progress(std::min(1.0, passes++ / kExpectedPasses)); });
  if (fit.cancelled) return Cancelled();
  Fitted fitted;
  fitted.spec = {
      CalibrationMethod::kTemperature, data.logits.classes(), {{"temperature", {fit.temperature}}}};
  if (fit.bound == TemperatureFit::Bound::kLow) {
    fitted.spec.parameters.push_back({"epsilon", {1.0 / static_cast<double>(data.size() + 1)}});
  }
  fitted.converged = fit.converged;
  fitted.iterations = fit.iterations;
  fitted.at_bound = fit.bound != TemperatureFit::Bound::kNone;
  return fitted;
}

Fitted FitPlattSpec(const LabelledRows& data) {
  std::vector<double> scores;
  std::vector<uint8_t> positive;
  for (const int64_t i : data.rows) {
    scores.push_back(data.logits.At(i, 1) - data.logits.At(i, 0));
    positive.push_back(data.labels[i] == 1);
  }
  const PlattFit fit = FitPlatt(scores, positive);
  Fitted fitted;
  fitted.spec = {CalibrationMethod::kPlatt, 2, {{"slope", {fit.slope}}, {"offset", {fit.offset}}}};
  fitted.converged = fit.converged;
  fitted.iterations = fit.iterations;
  fitted.at_bound = !fit.overlapping;
  return fitted;
}

absl::StatusOr<Fitted> FitOneVsRestSpec(const LabelledRows& data, const Progress& progress) {
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
    if (progress != nullptr && !progress(static_cast<double>(k) / classes)) return Cancelled();
    for (size_t index = 0; index < data.rows.size(); ++index) {
      const int64_t i = data.rows[index];
      scores[index] = data.logits.At(i, k) - log_sums[index];
      positive[index] = data.labels[i] == k;
    }
    const PlattFit fit = FitPlatt(scores, positive);
    slopes.push_back(fit.slope);
    offsets.push_back(fit.offset);
    fitted.converged = fitted.converged && fit.converged;
    fitted.iterations = std::max(fitted.iterations, fit.iterations);
    fitted.at_bound = fitted.at_bound || !fit.overlapping;
  }
  fitted.spec = {CalibrationMethod::kPlattOneVsRest, classes, {{"slope", slopes}, {"offset", offsets}}};
  return fitted;
}

absl::StatusOr<Fitted> FitRows(CalibrationMethod method, const LabelledRows& data, const Progress& progress) {
  if (progress != nullptr && !progress(0)) return Cancelled();
  switch (method) {
    case CalibrationMethod::kNone: {
      Fitted fitted;
      fitted.spec.classes = data.logits.classes();
      return fitted;
    }
    case CalibrationMethod::kTemperature:
      return FitTemperatureSpec(data, progress);
    case CalibrationMethod::kPlatt:
      if (data.logits.classes() == 2) return FitPlattSpec(data);
      return FitOneVsRestSpec(data, progress);
    case CalibrationMethod::kPlattOneVsRest:
      return FitOneVsRestSpec(data, progress);
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown ", MethodName(method)));
}

absl::Status CheckOptions(const FitOptions& options) {
  if (options.folds != 0 && (options.folds < kMinFolds || options.folds > kMaxFolds)) {
    return absl::InvalidArgumentError(
        absl::StrCat("folds must be 0 or in [", kMinFolds, ", ", kMaxFolds, "]; was ", options.folds));
  }
  if (options.bins < 1 || options.bins > kMaxBins) {
    return absl::InvalidArgumentError(
        absl::StrCat("bins must be in [1, ", kMaxBins, "]; was ", options.bins));
  }
  return absl::OkStatus();
}

absl::Status CheckSupport(absl::Span<const int32_t> labels, int64_t min_rows) {
  const int64_t rows = static_cast<int64_t>(labels.size());
  if (rows < std::max<int64_t>(1, min_rows)) {
    return absl::FailedPreconditionError(
        absl::StrCat("a fit needs at least ", std::max<int64_t>(1, min_rows), " labelled rows; has ", rows));
  }
  if (std::all_of(labels.begin(), labels.end(), [&](int32_t label) { return label == labels[0]; })) {
    return absl::FailedPreconditionError(absl::StrCat("a fit needs labels of at least 2 classes; all ", rows,
                                                      " rows are of class ", labels[0]));
  }
  return absl::OkStatus();
}

// Pooled over the folds, each judged by a fit on the others. Unset where one fold holds every row, so that
// nothing is left to fit on: rows of equal content share a fold.
absl::StatusOr<std::optional<CalibrationMetrics>> CrossValidate(CalibrationMethod method,
                                                                const LabelledRows& data,
                                                                const FitOptions& options,
                                                                const Progress& progress) {
  const std::vector<int> fold_of_row = FoldOfEachRow(data, options.folds);
  MetricsAccumulator pooled(options.bins);
  for (int fold = 0; fold < options.folds; ++fold) {
    const FoldSplit split = SplitFold(data, fold_of_row, fold);
    if (split.held_out.size() == 0) continue;
    if (split.rest.size() == 0) return std::optional<CalibrationMetrics>();
    const absl::StatusOr<Fitted> fitted = FitRows(method, split.rest, [&](double fraction) {
      return progress == nullptr || progress((fold + fraction) / options.folds);
    });
    if (!fitted.ok()) return fitted.status();
    const absl::StatusOr<Calibrator> calibrator = Calibrator::Create(fitted->spec);
    if (!calibrator.ok()) return calibrator.status();
    AddRows(*calibrator, split.held_out, &pooled);
  }
  CalibrationMetrics metrics = pooled.Metrics();
  AddEceInterval(&metrics);
  return std::optional<CalibrationMetrics>(std::move(metrics));
}

// Metrics of the rows under `calibrator`, and the share whose predicted class it changed.
std::pair<CalibrationMetrics, double> Judge(const Calibrator& calibrator, const LabelledRows& data,
                                            int bins) {
  MetricsAccumulator accumulator(bins);
  const int64_t changed = AddRows(calibrator, data, &accumulator);
  CalibrationMetrics metrics = accumulator.Metrics();
  AddEceInterval(&metrics);
  return {std::move(metrics), static_cast<double>(changed) / static_cast<double>(data.size())};
}

}  // namespace

absl::StatusOr<FitResult> FitCalibrator(CalibrationMethod method, LogitsView logits,
                                        absl::Span<const int32_t> labels, const FitOptions& options) {
  if (absl::Status status = CheckOptions(options); !status.ok()) return status;
  if (absl::Status status = CheckLabelledLogits(logits, labels); !status.ok()) return status;
  if (absl::Status status = CheckSupport(labels, options.min_rows); !status.ok()) return status;
  const auto stage = [&](const char* name) -> Progress {
    if (options.progress == nullptr) return nullptr;
    return [&options, name](double fraction) { return options.progress(name, fraction); };
  };

  const LabelledRows data = AllRows(logits, labels);
  const absl::StatusOr<Fitted> fitted = FitRows(method, data, stage("fitting"));
  if (!fitted.ok()) return fitted.status();
  const absl::StatusOr<Calibrator> calibrator = Calibrator::Create(fitted->spec);
  if (!calibrator.ok()) return calibrator.status();

  FitResult result;
  result.spec = fitted->spec;
  FitReport& report = result.report;
  report.n = data.size();
  report.converged = fitted->converged;
  report.iterations = fitted->iterations;
  report.at_bound = fitted->at_bound;
  report.before = Judge(Calibrator::None(logits.classes()), data, options.bins).first;
  std::tie(report.after, report.changed_predictions) = Judge(*calibrator, data, options.bins);
  if (options.folds > 0) {
    absl::StatusOr<std::optional<CalibrationMetrics>> cross_validated =
        CrossValidate(method, data, options, stage("cross-validating"));
    if (!cross_validated.ok()) return cross_validated.status();
    report.cross_validated = *std::move(cross_validated);
    report.folds = report.cross_validated.has_value() ? options.folds : 0;
  }
  return result;
}

}  // namespace calserve
