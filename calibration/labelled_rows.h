#ifndef CALSERVE_CALIBRATION_LABELLED_ROWS_H_
#define CALSERVE_CALIBRATION_LABELLED_ROWS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "calibration/calibrator.h"
#include "calibration/logits.h"
#include "calibration/metrics_accumulator.h"

namespace calserve {

// Some rows of labelled N×K logits that CheckLabelledLogits has passed. Does not own the data.
struct LabelledRows {
  LogitsView logits;
  absl::Span<const int32_t> labels;
  std::vector<int64_t> rows;

  int64_t size() const { return static_cast<int64_t>(rows.size()); }
};

// INVALID_ARGUMENT where the sizes differ, a logit is not finite or beyond float32, or a label is not a
// class; it names the row, the column and the value.
absl::Status CheckLabelledLogits(LogitsView logits, absl::Span<const int32_t> labels);

// Every row of them.
LabelledRows AllRows(LogitsView logits, absl::Span<const int32_t> labels);

// Applies `calibrator` to the rows and adds what comes of it to *metrics; where `nlls` is not null, appends
// each row's negative log-likelihood to it. Returns how many rows' predicted class is not the argmax of their
// logits.
int64_t AddRows(const Calibrator& calibrator, const LabelledRows& rows, MetricsAccumulator* metrics,
                std::vector<double>* nlls = nullptr);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_LABELLED_ROWS_H_
