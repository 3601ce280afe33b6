#ifndef CALSERVE_CALIBRATION_METHODS_LOG_ODDS_H_
#define CALSERVE_CALIBRATION_METHODS_LOG_ODDS_H_

#include <vector>

#include "absl/types/span.h"
#include "calibration/labelled_rows.h"

namespace calserve {

// The scores of methods that fit one curve to one class against the others: log p_k - log(1 - p_k), p =
// softmax(z). For two classes that is the difference of the logits. Unlike p it does not saturate: a model
// that is very sure of two rows still orders them.

// The first class with the largest logit.
size_t TopClass(absl::Span<const double> logits);

// The log-odds of the top class.
double TopLogOdds(absl::Span<const double> logits);

// Replaces every logit by the log-odds of its class.
void LogOddsInPlace(absl::Span<double> row);

// The log-odds of one class in many rows, without a copy of the N×K logits.
class LogOddsOfClass {
 public:
  explicit LogOddsOfClass(const LabelledRows& data);
  // Fills `scores`, one a row of the data.
  void Fill(int k, absl::Span<double> scores) const;

 private:
  const LabelledRows& data_;
  std::vector<double> top_logits_, top_log_odds_, log_sums_;
  std::vector<size_t> top_;
};

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_METHODS_LOG_ODDS_H_
