#ifndef CALSERVE_CALIBRATION_METRICS_ACCUMULATOR_H_
#define CALSERVE_CALIBRATION_METRICS_ACCUMULATOR_H_

#include <vector>

#include "calibration/bin_edges.h"
#include "calibration/metrics.h"

namespace calserve {

// The sums that every metric of this library is computed from. A row counts 1, or its weight in a decaying
// window.
struct MetricsSums {
  struct Bin {
    double weight = 0;
    double confidence = 0;  // weighted sum
    double correct = 0;     // weight of the rows that were right
  };
  std::vector<Bin> bins;
  double squared_weights = 0;
  double weight_with_logits = 0;  // of the rows that nll and brier are over
  double nll = 0;
  double brier = 0;
};

// A report of the sums, without the interval. O(bins).
//   ECE = sum_b |correct_b - confidence_b| / N                               (Guo et al., 2017, without
//   division) MCE = max over non-empty b of |accuracy_b - mean confidence_b| noise floor = sum_b (n_b / N)
//   sqrt(2 c_b (1 - c_b) / (pi n_b)), the mean ECE of exact probabilities where n_b is not small; in a
//   decaying window n_b counts effective rows.
CalibrationMetrics MetricsFromSums(const MetricsSums& sums);

// Adds up rows one by one.
class MetricsAccumulator {
 public:
  explicit MetricsAccumulator(int bins) : edges_(bins) { sums_.bins.resize(bins); }

  // `confidence` in [0, 1].
  void Add(double confidence, bool correct);
  // The scores of a row that was added.
  void AddScores(double nll, double brier);

  CalibrationMetrics Metrics() const { return MetricsFromSums(sums_); }

 private:
  BinEdges edges_;
  MetricsSums sums_;
};

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_METRICS_ACCUMULATOR_H_
