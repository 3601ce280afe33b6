#ifndef CALSERVE_CALIBRATION_METRICS_H_
#define CALSERVE_CALIBRATION_METRICS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "calibration/calibrator.h"
#include "calibration/logits.h"

namespace calserve {

inline constexpr int kDefaultBins = 15;
inline constexpr int kMaxBins = 1000;
// A row's negative log-likelihood is capped here, so that one impossible label leaves a mean that says
// something.
inline constexpr double kMaxNll = 100.0;

// Rows with lower < confidence <= upper; the first bin holds 0 too.
struct ReliabilityBin {
  double lower = 0;
  double upper = 1;
  double count = 0;       // rows; fractional in a decaying window
  double confidence = 0;  // mean; 0 in an empty bin
  double accuracy = 0;    // share that was right; 0 in an empty bin
};

// How well probabilities hold on labelled rows. Never holds a NaN; all zero for n = 0.
struct CalibrationMetrics {
  int64_t n = 0;           // rows; the sum of their weights, rounded, in a decaying window
  double n_effective = 0;  // n; (sum w)^2 / sum w^2 in a decaying window
  double accuracy = 0;
  double mean_confidence = 0;
  double ece = 0;
  std::optional<double> ece_low, ece_high;  // 95 % interval, where computed
  double noise_floor = 0;                   // ECE that a calibrated model would show on so few rows
  double mce = 0;
  int64_t n_with_logits = 0;    // rows that nll and brier are over
  std::optional<double> nll;    // nats; unset where n_with_logits is 0
  std::optional<double> brier;  // [0, 2]
  std::vector<ReliabilityBin> bins;
};

// Index of the bin of `confidence` in [0, 1] among `bins` of equal width: the number of inner edges j / bins
// (a double division) below it, so (lower, upper] with 0 in bin 0 and 1 in the last. These are the bins of
// scikit-learn's calibration_curve, but for the last bit of an edge here and there: its edges come from
// linspace.
int BinIndex(double confidence, int bins);

// Fills ece_low and ece_high from the bins alone, in O(bins) without simulation; leaves them unset for n = 0.
// Test inversion: the interval holds the true ECEs that would show one like the observed (ece_interval.cc has
// which test). So 0 is in it exactly where the rows do not tell the model from a calibrated one, which the
// bootstrap of an upward-biased ECE gets wrong. Always contains ece, within [0, 1].
// docs/verification/5-sets.md has its simulated coverage.
void AddEceInterval(CalibrationMetrics* metrics, double level = 0.95);

// Metrics of confidences alone (top-label): confidence in [0, 1] and whether the prediction was right, one
// each a row. INVALID_ARGUMENT names the row of a bad value.
absl::StatusOr<CalibrationMetrics> EvaluateTopLabel(absl::Span<const float> confidences,
                                                    absl::Span<const uint8_t> correct,
                                                    int bins = kDefaultBins);

// Applies `calibrator` to the rows and measures it against `labels` (N class indices), interval included.
// INVALID_ARGUMENT where a label is not a class, a logit is not finite, or the sizes differ; it names the
// row.
absl::StatusOr<CalibrationMetrics> Evaluate(const Calibrator& calibrator, LogitsView logits,
                                            absl::Span<const int32_t> labels, int bins = kDefaultBins);

// Negative log-likelihood -ln p[label], capped at kMaxNll, and Brier score sum_k (p_k - 1[k = label])^2 of a
// row.
double RowNll(absl::Span<const float> probabilities, int label);
double RowBrier(absl::Span<const float> probabilities, int label);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_METRICS_H_
