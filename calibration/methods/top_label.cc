#include "calibration/methods/top_label.h"

#include <algorithm>

#include "calibration/methods/log_odds.h"
#include "calibration/softmax.h"

namespace calserve {

void SpreadConfidence(double confidence, absl::Span<double> row) {
  const size_t top = TopClass(row);
  std::swap(row[top], row[row.size() - 1]);
  const absl::Span<double> others = row.first(row.size() - 1);
  SoftmaxInPlace(1, others);
  const double second = *std::max_element(others.begin(), others.end());
  const double c = std::max(confidence, second / (1 + second));
  for (double& share : others) share = std::min(share * (1 - c), c);
  row[row.size() - 1] = c;
  std::swap(row[top], row[row.size() - 1]);
}

TopLabels TopLabelsOf(const LabelledRows& data) {
  TopLabels out;
  out.scores.reserve(data.rows.size());
  out.correct.reserve(data.rows.size());
  std::vector<double> row(data.logits.classes());
  for (const int64_t i : data.rows) {
    data.logits.Row(i, row.data());
    out.scores.push_back(TopLogOdds(row));
    out.correct.push_back(TopClass(row) == static_cast<size_t>(data.labels[i]));
  }
  return out;
}

}  // namespace calserve
