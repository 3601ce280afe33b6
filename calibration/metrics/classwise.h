#ifndef CALSERVE_CALIBRATION_METRICS_CLASSWISE_H_
#define CALSERVE_CALIBRATION_METRICS_CLASSWISE_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "calibration/bin_edges.h"
#include "calibration/metrics.h"

namespace calserve {

// Adds up rows for what is computed of every class by itself: the probability p_k of class k against whether
// the label is k, in bins of equal width (BinIndex). O(K) a row, O(K bins) memory.
class ClasswiseSums {
 public:
  // Counts only p_k >= threshold; 0 counts all.
  ClasswiseSums(int classes, int bins, double threshold);

  // `probabilities` K values in [0, 1]; `label` in [0, K).
  void Add(absl::Span<const float> probabilities, int label);

  // (1/K') sum_k sum_b (n_kb / n_k) |o_kb - p_kb|: n_kb rows in bin b of class k, with the mean probability
  // p_kb and the share o_kb that is of class k; K' classes have a row that counts (Nixon et al., 2019, static
  // and thresholded; Kull et al., 2019). 0 for no rows.
  double CalibrationError() const;

  // Rows that are labelled k.
  int64_t labelled(int k) const { return labels_[static_cast<size_t>(k)]; }
  // The reliability diagram of class k: p_k against the share of the rows that is labelled k.
  std::vector<ReliabilityBin> ReliabilityOf(int k) const;

  // With threshold 0, of the Brier score that is summed over classes ([0, 2]; Murphy, 1973; Stephenson et
  // al., 2008): Brier = calibration + refinement + within_bins exactly.
  struct BrierParts {
    double calibration = 0;  // sum_k sum_b (n_kb / N) (p_kb - o_kb)^2: what recalibrating the bins would save
    double refinement = 0;   // sum_k sum_b (n_kb / N) o_kb (1 - o_kb) = uncertainty - resolution
    double uncertainty = 0;  // sum_k q_k (1 - q_k), q_k the share of class k: Brier of the best constant
    double within_bins = 0;  // what is left: the spread of p_k in a bin, less twice its covariance with truth
    friend bool operator==(const BrierParts&, const BrierParts&) = default;
  };
  // `brier`: the mean over the same rows.
  BrierParts Decompose(double brier) const;

 private:
  struct Sum {
    double rows = 0, probability = 0, of_class = 0;
  };
  BinEdges edges_;
  double threshold_;
  std::vector<Sum> sums_;        // K×bins
  std::vector<int64_t> labels_;  // K
};

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_METRICS_CLASSWISE_H_
