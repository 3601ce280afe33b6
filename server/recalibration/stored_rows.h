#ifndef CALSERVE_SERVER_RECALIBRATION_STORED_ROWS_H_
#define CALSERVE_SERVER_RECALIBRATION_STORED_ROWS_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "server/feedback/store.h"
#include "server/recalibration/labelled_logits.h"

namespace calserve {

// What a fit may read.
struct FitLimits {
  int64_t rows = 0;   // the newest
  int64_t bytes = 0;  // of their logits
};

// The logits and labels of the target's newest stored rows; rows without logits are left out, and so are
// those of other content under the target's number. `read` is told
// the number of rows after each page; false cancels (CANCELLED). FAILED_PRECONDITION where rows are there but
// none has logits, or they are of another number of classes; INVALID_ARGUMENT where they exceed the bytes.
absl::StatusOr<LabelledLogits> ReadLabelledLogits(Store& store, const CalibrationTarget& target,
                                                  LogSelection selection, const FitLimits& limits,
                                                  absl::FunctionRef<bool(int64_t rows)> read);

}  // namespace calserve

#endif  // CALSERVE_SERVER_RECALIBRATION_STORED_ROWS_H_
