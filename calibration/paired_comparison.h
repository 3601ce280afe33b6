#ifndef CALSERVE_CALIBRATION_PAIRED_COMPARISON_H_
#define CALSERVE_CALIBRATION_PAIRED_COMPARISON_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "calibration/metrics.h"
#include "calibration/metrics_accumulator.h"

namespace calserve {

// A candidate calibrator against the incumbent on the same labelled rows, none of which either was fitted on.
struct PairedComparison {
  int64_t n = 0;
  // Mean over rows of the candidate's negative log-likelihood less the incumbent's, nats: below 0 the
  // candidate is the likelier one; and its standard error, 0 for n < 2.
  double nll_difference = 0;
  double standard_error = 0;
  double incumbent_ece = 0, candidate_ece = 0;
  double incumbent_accuracy = 0, candidate_accuracy = 0;
  // Natural logarithm of the e-value against "the candidate is no better": see PairedAccumulator.
  double log_e_value = 0;
  friend bool operator==(const PairedComparison&, const PairedComparison&) = default;
};

// Compares two calibrators row by row, and tests
//   H0: on these predictions the candidate's expected negative log-likelihood is not below the incumbent's.
// With g_i the incumbent's less the candidate's of row i, and B the most that the candidate could lose on any
// of the rows, whatever its label (known from the probabilities alone), the e-value is
//   E = mean over j = 0..9 of prod_i (1 + lambda_j g_i),   lambda_j = 0.95 2^-j / B.
// Every factor is positive. Given the predictions the labels are independent, so that under H0
//   E[prod_i (1 + lambda g_i)] = prod_i (1 + lambda E g_i) <= (1 + lambda mean_i E g_i)^n <= 1
// (arithmetic against geometric mean), and so P(E >= 1/a) <= a at every n and whatever the distribution: no
// normal approximation, which skewed differences, many small gains and a rare large loss, deceive. A
// candidate that makes probabilities milder has a small B and is soon proven; one that makes them sharper
// must show more labels. (Betting: Waudby-Smith and Ramdas, 2024, "Estimating means of bounded random
// variables by betting".) Holds 8 bytes a row. Not thread-safe.
class PairedAccumulator final {
 public:
  explicit PairedAccumulator(int bins = kDefaultBins) : incumbent_(bins), candidate_(bins) {}

  // One row: K >= 2 probabilities of each side, the class that each predicts, and the label in [0, K).
  struct Side {
    absl::Span<const float> probabilities;
    int predicted = 0;
  };
  void Add(const Side& incumbent, const Side& candidate, int label);

  PairedComparison Get() const;

 private:
  double LogEValue() const;

  MetricsAccumulator incumbent_, candidate_;
  std::vector<double> gains_;
  double largest_loss_ = 0;  // B
};

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_PAIRED_COMPARISON_H_
