#include "calibration/fit.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "calibration/conformal.h"
#include "calibration/folds.h"
#include "calibration/labelled_rows.h"
#include "calibration/method.h"
#include "calibration/metrics_accumulator.h"
#include "calibration/out_of_fold.h"
#include "calibration/set_alphas.h"

namespace calserve {
namespace {

constexpr int kMinFolds = 2, kMaxFolds = 20;
constexpr double kMaxHoldout = 0.9;
constexpr uint64_t kOuterSalt = 1;  // so that outer folds are none of the inner ones

// What stands for `method` on so many classes.
absl::StatusOr<const Method*> MethodFor(CalibrationMethod id, int classes) {
  const Method* method = FindMethod(id);
  if (method == nullptr) return absl::InvalidArgumentError(absl::StrCat("unknown ", MethodName(id)));
  if (classes > 2) method = FindMethod(method->on_more_classes);
  if (absl::Status status = CheckClassesOf(*method, classes); !status.ok()) return status;
  return method;
}

absl::Status CheckFolds(const char* name, int folds) {
  if (folds == 0 || (folds >= kMinFolds && folds <= kMaxFolds)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " must be 0 or in [", kMinFolds, ", ", kMaxFolds, "]; was ", folds));
}

absl::Status CheckOptions(CalibrationMethod id, const FitOptions& options) {
  if (absl::Status status = CheckFolds("folds", options.folds); !status.ok()) return status;
  if (absl::Status status = CheckFolds("outer_folds", options.outer_folds); !status.ok()) return status;
  if (!(options.holdout >= 0 && options.holdout <= kMaxHoldout)) {
    return absl::InvalidArgumentError(
        absl::StrCat("holdout must be in [0, ", kMaxHoldout, "]; was ", options.holdout));
  }
  if (options.bins < 1 || options.bins > kMaxBins) {
    return absl::InvalidArgumentError(
        absl::StrCat("bins must be in [1, ", kMaxBins, "]; was ", options.bins));
  }
  if (id == CalibrationMethod::kAuto && options.folds == 0 && options.holdout == 0) {
    return absl::InvalidArgumentError("auto chooses by rows left out: folds or holdout must be above 0");
  }
  if (id != CalibrationMethod::kAuto && options.outer_folds != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("outer_folds judge a choice: only with auto; was ", MethodName(id)));
  }
  if (!options.set_alphas.empty() && options.folds == 0 && options.holdout == 0) {
    return absl::InvalidArgumentError(
        "set_alphas need rows left out of a fit: folds or holdout must be above 0");
  }
  return CheckSetAlphas(options.set_alphas);
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

// Rows are held out by a hash: of few that are expected, none may come, and then nothing judges.
absl::Status CheckHoldout(int64_t rows, double holdout) {
  constexpr double kLeast = 10;
  if (holdout == 0 || holdout * static_cast<double>(rows) >= kLeast) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("a holdout of ", holdout, " of ", rows, " rows leaves fewer than ", kLeast,
                   " to judge on: take at least ", kLeast / static_cast<double>(rows), ", or folds"));
}

// A choice by folds needs every class in each of them: names those that cannot be.
absl::Status CheckClassesFillFolds(absl::Span<const int32_t> labels, int classes, int folds) {
  constexpr int kNamed = 5;
  std::vector<int64_t> rows(classes, 0);
  for (const int32_t label : labels) ++rows[label];
  std::string few;
  int found = 0;
  for (int k = 0; k < classes; ++k) {
    if (rows[k] >= folds || ++found > kNamed) continue;
    absl::StrAppend(&few, few.empty() ? "" : ", ", "class ", k, " has ", rows[k]);
  }
  if (found == 0) return absl::OkStatus();
  if (found > kNamed) absl::StrAppend(&few, " and ", found - kNamed, " more classes have too few");
  return absl::FailedPreconditionError(absl::StrCat("auto with ", folds, " folds needs at least ", folds,
                                                    " rows of each class; ", few,
                                                    ": add rows, or take fewer folds or holdout"));
}

std::vector<FoldSplit> Splits(const LabelledRows& data, const FitOptions& options) {
  return options.holdout > 0 ? SplitHoldout(data, options.holdout) : SplitFolds(data, options.folds);
}

// Chooses, fits and judges on the rows of one call.
class Fitter {
 public:
  Fitter(const LabelledRows& data, const FitOptions& options) : data_(data), options_(options) {}

  // Chooses, and puts the comparison into the report.
  absl::StatusOr<const Method*> Choose(FitReport* report) const {
    absl::StatusOr<Choice> choice = ChooseFor(data_, Stage("comparing"));
    if (!choice.ok()) return choice.status();
    report->comparison = std::move(choice->comparison);
    report->cross_validated = std::move(choice->metrics);
    AddEceInterval(&*report->cross_validated);
    report->selected_optimistic = true;
    SetJudgedBy(report);
    if (options_.outer_folds == 0) return choice->method;
    return ReplaceByOuterFolds(report, choice->method);
  }

  absl::StatusOr<Fitted> Fit(const Method& method) const { return FitRows(method, data_, Stage("fitting")); }

  // Fills report->cross_validated and adds the rows' scores to *scores; leaves both as they are where the
  // rows cannot be split.
  absl::Status CrossValidate(const Method& method, FitReport* report, TrueClassScores* scores) const {
    const std::vector<FoldSplit> splits = Splits(data_, options_);
    if (splits.empty()) return absl::OkStatus();
    const auto judge = [&](const FoldSplit& split, const FitProgress& progress, MetricsAccumulator* pooled) {
      return JudgeSplit(method, split, progress, pooled, /*nlls=*/nullptr, scores);
    };
    SetJudgedBy(report);
    return Pool(splits, judge, report);
  }

  // The scores alone, for a method whose figures are there already.
  absl::Status Score(const Method& method, TrueClassScores* scores) const {
    FitReport ignored;
    return CrossValidate(method, &ignored, scores);
  }

 private:
  using JudgeOne = std::function<absl::Status(const FoldSplit&, const FitProgress&, MetricsAccumulator*)>;

  FitProgress Stage(const char* name) const {
    return [this, name](double fraction) {
      return options_.progress == nullptr || options_.progress(name, fraction);
    };
  }

  absl::StatusOr<Choice> ChooseFor(const LabelledRows& data, const FitProgress& progress) const {
    const std::vector<FoldSplit> splits = Splits(data, options_);
    if (splits.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat("auto needs rows to fit on and rows to judge by; all ", data.size(),
                       " rows fall on one side, as rows of equal content do"));
    }
    return ChooseMethod(splits, data.logits.classes(), options_.bins, progress, options_.max_bytes);
  }

  // The figures of choosing and fitting, on rows that neither has seen.
  absl::StatusOr<const Method*> ReplaceByOuterFolds(FitReport* report, const Method* chosen) const {
    const std::vector<FoldSplit> splits = SplitFolds(data_, options_.outer_folds, kOuterSalt);
    if (splits.empty()) return chosen;
    const auto judge = [&](const FoldSplit& split, const FitProgress& progress, MetricsAccumulator* pooled) {
      const absl::StatusOr<Choice> choice = ChooseFor(split.rest, progress);
      if (!choice.ok()) return choice.status();
      return JudgeSplit(
          *choice->method, split, [&](double) { return progress(1); }, pooled);
    };
    if (absl::Status status = Pool(splits, judge, report); !status.ok()) return status;
    report->folds = options_.outer_folds;
    report->holdout = 0;
    report->selected_optimistic = false;
    return chosen;
  }

  absl::Status Pool(const std::vector<FoldSplit>& splits, const JudgeOne& judge, FitReport* report) const {
    MetricsAccumulator pooled(options_.bins);
    const FitProgress progress = Stage("cross-validating");
    const double count = static_cast<double>(splits.size());
    for (size_t s = 0; s < splits.size(); ++s) {
      const auto part = [&](double fraction) {
        return progress((static_cast<double>(s) + fraction) / count);
      };
      if (absl::Status status = judge(splits[s], part, &pooled); !status.ok()) return status;
    }
    report->cross_validated = pooled.Metrics();
    AddEceInterval(&*report->cross_validated);
    return absl::OkStatus();
  }

  void SetJudgedBy(FitReport* report) const {
    report->holdout = options_.holdout;
    report->folds = options_.holdout > 0 ? 0 : options_.folds;
  }

  const LabelledRows& data_;
  const FitOptions& options_;
};

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
  const bool choose = id == CalibrationMethod::kAuto;
  if (absl::Status status = CheckOptions(id, options); !status.ok()) return status;
  if (absl::Status status = CheckLabelledLogits(logits, labels); !status.ok()) return status;
  if (absl::Status status = CheckSupport(labels, options.min_rows); !status.ok()) return status;
  if (absl::Status status = CheckHoldout(logits.rows(), options.holdout); !status.ok()) return status;
  if (choose && options.holdout == 0) {
    const absl::Status status = CheckClassesFillFolds(labels, logits.classes(), options.folds);
    if (!status.ok()) return status;
  }
  const LabelledRows data = InContentOrder(AllRows(logits, labels));
  const Fitter fitter(data, options);
  FitResult result;
  FitReport& report = result.report;
  const absl::StatusOr<const Method*> method =
      choose ? fitter.Choose(&report) : MethodFor(id, logits.classes());
  if (!method.ok()) return method.status();
  if (absl::Status status = CheckBytesOfFit(**method, data.size(), logits.classes(), options.max_bytes);
      !status.ok()) {
    return status;
  }

  const absl::StatusOr<Fitted> fitted = fitter.Fit(**method);
  if (!fitted.ok()) return fitted.status();
  const absl::StatusOr<Calibrator> calibrator = Calibrator::Create(fitted->spec);
  if (!calibrator.ok()) return calibrator.status();
  result.spec = fitted->spec;
  report.n = data.size();
  report.converged = fitted->converged;
  report.iterations = fitted->iterations;
  report.at_bound = fitted->at_bound;
  report.before = Judge(Calibrator::None(logits.classes()), data, options.bins).first;
  std::tie(report.after, report.changed_predictions) = Judge(*calibrator, data, options.bins);
  TrueClassScores scores;
  TrueClassScores* const wanted = options.set_alphas.empty() ? nullptr : &scores;
  absl::Status status;
  if (!choose && (options.folds > 0 || options.holdout > 0)) {
    status = fitter.CrossValidate(**method, &report, wanted);
  } else if (wanted != nullptr) {
    status = fitter.Score(**method, wanted);
  }
  if (!status.ok()) return status;
  result.spec.set_thresholds = scores.Thresholds(options.set_alphas);
  return result;
}

absl::Status VisitOutOfFold(CalibrationMethod id, LogitsView logits, absl::Span<const int32_t> labels,
                            const FitOptions& options, absl::FunctionRef<void(const AppliedRow&)> visit) {
  if (absl::Status status = CheckOptions(id, options); !status.ok()) return status;
  if (id == CalibrationMethod::kAuto || (options.folds == 0 && options.holdout == 0)) {
    return absl::InvalidArgumentError("rows are left out by folds or holdout, and for one method, not auto");
  }
  if (absl::Status status = CheckLabelledLogits(logits, labels); !status.ok()) return status;
  if (absl::Status status = CheckSupport(labels, options.min_rows); !status.ok()) return status;
  if (absl::Status status = CheckHoldout(logits.rows(), options.holdout); !status.ok()) return status;
  const absl::StatusOr<const Method*> method = MethodFor(id, logits.classes());
  if (!method.ok()) return method.status();
  const LabelledRows data = InContentOrder(AllRows(logits, labels));
  const std::vector<FoldSplit> splits = Splits(data, options);
  if (splits.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("nothing is left to fit on: all ", data.size(), " rows fall into one fold"));
  }
  const double count = static_cast<double>(splits.size());
  for (size_t s = 0; s < splits.size(); ++s) {
    const auto progress = [&](double fraction) {
      return options.progress == nullptr ||
             options.progress("cross-validating", (static_cast<double>(s) + fraction) / count);
    };
    const LabelledRows& rest = splits[s].rest;
    const absl::Status fits = CheckBytesOfFit(**method, rest.size(), logits.classes(), options.max_bytes);
    if (!fits.ok()) return fits;
    const absl::StatusOr<Fitted> fitted = FitRows(**method, rest, progress);
    if (!fitted.ok()) return fitted.status();
    const absl::StatusOr<Calibrator> calibrator = Calibrator::Create(fitted->spec);
    if (!calibrator.ok()) return calibrator.status();
    ForEachRow(*calibrator, splits[s].held_out, visit);
  }
  return absl::OkStatus();
}

}  // namespace calserve
