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
#include "calibration/method.h"
#include "calibration/metrics_accumulator.h"

namespace calserve {
namespace {

constexpr int kMinFolds = 2, kMaxFolds = 20;

// What stands for `method` on so many classes.
absl::StatusOr<const Method*> MethodFor(CalibrationMethod id, int classes) {
  const Method* method = FindMethod(id);
  if (method == nullptr) return absl::InvalidArgumentError(absl::StrCat("unknown ", MethodName(id)));
  if (classes > 2) method = FindMethod(method->on_more_classes);
  if (absl::Status status = CheckClassesOf(*method, classes); !status.ok()) return status;
  return method;
}

absl::StatusOr<Fitted> FitRows(const Method& method, const LabelledRows& data, const FitProgress& progress) {
  if (!progress(0)) return FitCancelled();
  return method.fit(data, progress);
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
absl::StatusOr<std::optional<CalibrationMetrics>> CrossValidate(const Method& method,
                                                                const LabelledRows& data,
                                                                const FitOptions& options,
                                                                const FitProgress& progress) {
  const std::vector<int> fold_of_row = FoldOfEachRow(data, options.folds);
  MetricsAccumulator pooled(options.bins);
  for (int fold = 0; fold < options.folds; ++fold) {
    const FoldSplit split = SplitFold(data, fold_of_row, fold);
    if (split.held_out.size() == 0) continue;
    if (split.rest.size() == 0) return std::optional<CalibrationMetrics>();
    const absl::StatusOr<Fitted> fitted = FitRows(
        method, split.rest, [&](double fraction) { return progress((fold + fraction) / options.folds); });
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

absl::StatusOr<FitResult> FitCalibrator(CalibrationMethod id, LogitsView logits,
                                        absl::Span<const int32_t> labels, const FitOptions& options) {
  if (absl::Status status = CheckOptions(options); !status.ok()) return status;
  if (absl::Status status = CheckLabelledLogits(logits, labels); !status.ok()) return status;
  if (absl::Status status = CheckSupport(labels, options.min_rows); !status.ok()) return status;
  const absl::StatusOr<const Method*> found = MethodFor(id, logits.classes());
  if (!found.ok()) return found.status();
  const Method& method = **found;
  const auto stage = [&](const char* name) -> FitProgress {
    return [&options, name](double fraction) {
      return options.progress == nullptr || options.progress(name, fraction);
    };
  };

  const LabelledRows data = InContentOrder(AllRows(logits, labels));
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
