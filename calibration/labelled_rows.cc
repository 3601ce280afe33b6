#include "calibration/labelled_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace calserve {

absl::Status CheckLabelledLogits(LogitsView logits, absl::Span<const int32_t> labels) {
  if (logits.rows() != static_cast<int64_t>(labels.size())) {
    return absl::InvalidArgumentError(absl::StrCat("logits and labels must have as many rows; have ",
                                                   logits.rows(), " and ", labels.size()));
  }
  const int classes = logits.classes();
  const int single = logits.columns() == 1 ? 1 : 0;  // the 0 of (0, z) is no column of the caller's
  std::vector<double> row(classes);
  for (int64_t i = 0; i < logits.rows(); ++i) {
    logits.Row(i, row.data());
    for (int k = single; k < classes; ++k) {
      if (!(std::abs(row[k]) <= std::numeric_limits<float>::max())) {
        return absl::InvalidArgumentError(absl::StrCat("logits[", i, ", ", k - single,
                                                       "] must be finite and within float32; was ", row[k]));
      }
    }
    if (labels[i] < 0 || labels[i] >= classes) {
      return absl::InvalidArgumentError(
          absl::StrCat("labels[", i, "] must be in [0, ", classes, "); was ", labels[i]));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTopLabel(absl::Span<const float> confidences, absl::Span<const uint8_t> correct) {
  if (confidences.size() != correct.size()) {
    return absl::InvalidArgumentError(absl::StrCat("confidences and correct must have as many rows; have ",
                                                   confidences.size(), " and ", correct.size()));
  }
  for (size_t i = 0; i < confidences.size(); ++i) {
    if (!(confidences[i] >= 0 && confidences[i] <= 1)) {
      return absl::InvalidArgumentError(
          absl::StrCat("confidence of row ", i, " must be in [0, 1]; was ", confidences[i]));
    }
    if (correct[i] > 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("correct of row ", i, " must be 0 or 1; was ", correct[i]));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckBins(int bins) {
  if (bins >= 1 && bins <= kMaxBins) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("bins must be in [1, ", kMaxBins, "]; was ", bins));
}

absl::Status CheckEvaluation(const Calibrator& calibrator, LogitsView logits,
                             absl::Span<const int32_t> labels, int bins) {
  if (absl::Status status = CheckBins(bins); !status.ok()) return status;
  if (logits.classes() != calibrator.classes()) {
    return absl::InvalidArgumentError(absl::StrCat("logits must have ", calibrator.classes(),
                                                   " classes as the calibrator does; have ",
                                                   logits.classes()));
  }
  return CheckLabelledLogits(logits, labels);
}

LabelledRows AllRows(LogitsView logits, absl::Span<const int32_t> labels) {
  LabelledRows all{logits, labels, std::vector<int64_t>(labels.size())};
  std::iota(all.rows.begin(), all.rows.end(), int64_t{0});
  return all;
}

void ForEachRow(const Calibrator& calibrator, const LabelledRows& rows,
                absl::FunctionRef<void(const AppliedRow&)> visit) {
  std::vector<double> z(calibrator.classes());
  std::vector<float> p(calibrator.classes());
  for (const int64_t i : rows.rows) {
    rows.logits.Row(i, z.data());
    calibrator.ApplyFloat64(z, absl::MakeSpan(p)).IgnoreError();  // the rows have been checked
    visit({z, p, Calibrator::PredictedClassFloat64(p, z), rows.labels[i]});
  }
}

int64_t AddRows(const Calibrator& calibrator, const LabelledRows& rows, MetricsAccumulator* metrics,
                std::vector<double>* nlls) {
  int64_t changed = 0;
  ForEachRow(calibrator, rows, [&](const AppliedRow& row) {
    const double nll = RowNll(row.probabilities, row.label);
    metrics->Add(row.probabilities[row.predicted], row.predicted == row.label);
    metrics->AddScores(nll, RowBrier(row.probabilities, row.label));
    if (nlls != nullptr) nlls->push_back(nll);
    changed += row.predicted != std::max_element(row.logits.begin(), row.logits.end()) - row.logits.begin();
  });
  return changed;
}

}  // namespace calserve
