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
        return absl::InvalidArgumentError(absl::StrCat("logit at row ", i, ", column ", k - single,
                                                       " must be finite and within float32; was ", row[k]));
      }
    }
    if (labels[i] < 0 || labels[i] >= classes) {
      return absl::InvalidArgumentError(
          absl::StrCat("label of row ", i, " must be in [0, ", classes, "); was ", labels[i]));
    }
  }
  return absl::OkStatus();
}

LabelledRows AllRows(LogitsView logits, absl::Span<const int32_t> labels) {
  LabelledRows all{logits, labels, std::vector<int64_t>(labels.size())};
  std::iota(all.rows.begin(), all.rows.end(), int64_t{0});
  return all;
}

int64_t AddRows(const Calibrator& calibrator, const LabelledRows& rows, MetricsAccumulator* metrics,
                std::vector<double>* nlls) {
  std::vector<double> z(calibrator.classes());
  std::vector<float> p(calibrator.classes());
  int64_t changed = 0;
  for (const int64_t i : rows.rows) {
    rows.logits.Row(i, z.data());
    calibrator.ApplyFloat64(z, absl::MakeSpan(p)).IgnoreError();  // the rows have been checked
    const int label = rows.labels[i];
    const int predicted = Calibrator::PredictedClassFloat64(p, z);
    metrics->Add(p[predicted], predicted == label);
    const double nll = RowNll(p, label);
    metrics->AddScores(nll, RowBrier(p, label));
    if (nlls != nullptr) nlls->push_back(nll);
    changed += predicted != std::max_element(z.begin(), z.end()) - z.begin();
  }
  return changed;
}

}  // namespace calserve
