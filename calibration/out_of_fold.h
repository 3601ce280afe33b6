#ifndef CALSERVE_CALIBRATION_OUT_OF_FOLD_H_
#define CALSERVE_CALIBRATION_OUT_OF_FOLD_H_

#include <vector>

#include "absl/status/statusor.h"
#include "calibration/conformal.h"
#include "calibration/folds.h"
#include "calibration/method.h"
#include "calibration/metrics_accumulator.h"

namespace calserve {

// A fit, asked first whether to go on.
absl::StatusOr<Fitted> FitRows(const Method& method, const LabelledRows& data, const FitProgress& progress);

// Fits to the rest of the split and adds what comes of it on the rows held out to *metrics, and each row's
// negative log-likelihood to *nlls and its true class's scores to *scores where they are not null.
absl::Status JudgeSplit(const Method& method, const FoldSplit& split, const FitProgress& progress,
                        MetricsAccumulator* metrics, std::vector<double>* nlls = nullptr,
                        TrueClassScores* scores = nullptr);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_OUT_OF_FOLD_H_
