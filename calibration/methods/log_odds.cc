#include "calibration/methods/log_odds.h"

#include <algorithm>
#include <cmath>

#include "calibration/row_kernels.h"
#include "calibration/softmax.h"

namespace calserve {
namespace {

// Of a class that is not the top one, so that p <= 1/2 and 1 - p loses nothing.
double LogOddsBelowTop(double log_p) { return log_p - std::log1p(-std::min(std::exp(log_p), 0.5)); }

}  // namespace

size_t TopClass(absl::Span<const double> logits) {
  return static_cast<size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

// Differences to the top logit first: a constant added to the row changes nothing, to the bit where adding it
// was exact.
double TopLogOdds(absl::Span<const double> logits) {
  const size_t top = TopClass(logits);
  std::vector<double> below;
  below.reserve(logits.size() - 1);
  for (size_t k = 0; k < logits.size(); ++k) {
    if (k != top) below.push_back(logits[k] - logits[top]);
  }
  return -LogSumExp(below);
}

void LogOddsInPlace(absl::Span<double> row) {
  const size_t top = TopClass(row);
  const double of_top = TopLogOdds(row), largest = row[top];
  for (double& value : row) value -= largest;
  LogSoftmaxInPlace(row);
  for (double& value : row) value = LogOddsBelowTop(value);
  row[top] = of_top;
}

LogOddsOfClass::LogOddsOfClass(const LabelledRows& data) : data_(data) {
  std::vector<double> row(data.logits.classes());
  for (const int64_t i : data.rows) {
    data.logits.Row(i, row.data());
    const size_t top = TopClass(row);
    top_.push_back(top);
    top_log_odds_.push_back(TopLogOdds(row));
    top_logits_.push_back(row[top]);
    for (double& value : row) value -= top_logits_.back();
    log_sums_.push_back(LogSumExp(row));
  }
}

void LogOddsOfClass::Fill(int k, absl::Span<double> scores) const {
  for (size_t index = 0; index < scores.size(); ++index) {
    scores[index] =
        top_[index] == static_cast<size_t>(k)
            ? top_log_odds_[index]
            : LogOddsBelowTop(data_.logits.At(data_.rows[index], k) - top_logits_[index] - log_sums_[index]);
  }
}

}  // namespace calserve
