#ifndef CALSERVE_SERVER_RECALIBRATION_PAIRED_ROWS_H_
#define CALSERVE_SERVER_RECALIBRATION_PAIRED_ROWS_H_

#include <cstdint>
#include <functional>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "calibration/calibrator.h"
#include "calibration/paired_comparison.h"
#include "server/feedback/store.h"
#include "server/recalibration/labelled_logits.h"

namespace calserve {

// The share of predictions that judges; the others are fitted on. By a hash of the prediction id, so that a
// prediction is on the same side in every attempt. Its first 53 bits as a number in [0, 1).
double JudgingHash(const Uuid& prediction_id);

// Labels after a position that compare two calibrators.
struct PairedLabels {
  int64_t after_position = 0;
  int64_t last_position = INT64_MAX;  // none after this one
  int64_t max_rows = 0;               // the newest
  double judging_share = 1;           // of predictions, by JudgingHash: those below it
};

struct PairedResult {
  PairedComparison paired;
  int64_t first_position = 0, last_position = 0;  // of the labels compared; 0 where there are none
};

// Compares the two on stored labels of the target (of its present content, with logits), by whichever
// calibrator they were served. `go_on` is asked after every page; false: CANCELLED. Waits for the store.
absl::StatusOr<PairedResult> CompareStored(Store& store, const CalibrationTarget& target,
                                           const PairedLabels& labels, const Calibrator& incumbent,
                                           const Calibrator& candidate, absl::FunctionRef<bool()> go_on);

// The two sides of an attempt.
struct SplitLabels {
  LabelledLogits fit;         // of the side that is fitted on, after its position
  int64_t judges = 0;         // labels of the side that judges, after its position
  int64_t last_position = 0;  // of the newest label read, of any side
};
struct SplitSelection {
  int64_t fit_after = 0, judge_after = 0;
  double judging_share = 0.5;
  int64_t max_rows = 0;  // the newest
};
absl::StatusOr<SplitLabels> ReadSplit(Store& store, const CalibrationTarget& target,
                                      const SplitSelection& selection, absl::FunctionRef<bool()> go_on);

}  // namespace calserve

#endif  // CALSERVE_SERVER_RECALIBRATION_PAIRED_ROWS_H_
