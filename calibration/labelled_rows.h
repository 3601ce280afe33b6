#ifndef CALSERVE_CALIBRATION_LABELLED_ROWS_H_
#define CALSERVE_CALIBRATION_LABELLED_ROWS_H_

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
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

// INVALID_ARGUMENT unless there is one confidence in [0, 1] and one 0 or 1 a row; it names the row and the
// value.
absl::Status CheckTopLabel(absl::Span<const float> confidences, absl::Span<const uint8_t> correct);

// INVALID_ARGUMENT unless there are 1 to kMaxBins.
absl::Status CheckBins(int bins);

// INVALID_ARGUMENT unless `calibrator` can be applied to the rows and measured in `bins`.
absl::Status CheckEvaluation(const Calibrator& calibrator, LogitsView logits,
                             absl::Span<const int32_t> labels, int bins);

// Every row of them.
LabelledRows AllRows(LogitsView logits, absl::Span<const int32_t> labels);

// A row that a calibrator was applied to. Views are valid during the visit.
struct AppliedRow {
  absl::Span<const double> logits;        // K
  absl::Span<const float> probabilities;  // K
  int predicted = 0;                      // class
  int label = 0;
};

// Applies `calibrator` to each of the rows, in their order.
void ForEachRow(const Calibrator& calibrator, const LabelledRows& rows,
                absl::FunctionRef<void(const AppliedRow&)> visit);

// Applies `calibrator` to the rows and adds what comes of it to *metrics; where `nlls` is not null, appends
// each row's negative log-likelihood to it. Returns how many rows' predicted class is not the argmax of their
// logits.
int64_t AddRows(const Calibrator& calibrator, const LabelledRows& rows, MetricsAccumulator* metrics,
                std::vector<double>* nlls = nullptr);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_LABELLED_ROWS_H_
