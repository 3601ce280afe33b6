#include "calibration/out_of_fold.h"

namespace calserve {

absl::StatusOr<Fitted> FitRows(const Method& method, const LabelledRows& data, const FitProgress& progress) {
  if (!progress(0)) return FitCancelled();
  return method.fit(data, progress);
}

absl::Status JudgeSplit(const Method& method, const FoldSplit& split, const FitProgress& progress,
                        MetricsAccumulator* metrics, std::vector<double>* nlls, TrueClassScores* scores) {
  const absl::StatusOr<Fitted> fitted = FitRows(method, split.rest, progress);
  if (!fitted.ok()) return fitted.status();
  const absl::StatusOr<Calibrator> calibrator = Calibrator::Create(fitted->spec);
  if (!calibrator.ok()) return calibrator.status();
  AddRows(*calibrator, split.held_out, metrics, nlls);
  if (scores != nullptr) scores->Add(*calibrator, split.held_out);
  return absl::OkStatus();
}

}  // namespace calserve
