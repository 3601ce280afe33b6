#ifndef CALSERVE_CALIBRATION_METRICS_DETAILED_METRICS_H_
#define CALSERVE_CALIBRATION_METRICS_DETAILED_METRICS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "calibration/calibrator.h"
#include "calibration/logits.h"
#include "calibration/metrics.h"
#include "calibration/metrics/calibration_test_result.h"
#include "calibration/metrics/classwise.h"
#include "calibration/metrics/confidence_groups.h"
#include "calibration/metrics/estimate.h"

namespace calserve {

struct DetailOptions {
  int bins = kDefaultBins;        // of equal width, and of equal mass
  int64_t mce_least_count = 30;   // rows of a bin that counts in the MCE: where a share is nearly normal
  double class_threshold = 0.01;  // of the thresholded classwise ECE (Nixon et al., 2019)
  // Asked now and then while it is computed, at 1,000,000 rows within a second; false: CANCELLED.
  std::function<bool()> go_on = nullptr;
};

// What a live report has no room for: everything that needs the rows themselves, and 95 % intervals. The
// definition and source of each stand beside the function that computes it, and in docs/metrics.md. Never
// holds a NaN; zero or unset for n = 0.
struct DetailedMetrics {
  int64_t n = 0;
  Estimate accuracy;                 // WilsonEstimate
  Estimate confidence_gap;           // mean confidence - accuracy, [-1, 1]; above 0: overconfident
  Estimate adaptive_ece;             // ExpectedCalibrationErrorWithInterval over equal mass
  double rms_calibration_error = 0;  // over equal width
  Estimate debiased_l2;              // over equal mass
  std::optional<double> mce;         // over equal width
  int64_t mce_least_count = 0;
  double ece_sweep = 0;
  int ece_sweep_bins = 0;
  double smooth_ece = 0;
  // Unset for n = 0.
  std::optional<CalibrationTestResult> kolmogorov_smirnov, kuiper, spiegelhalter, debiased_test;
  std::optional<Estimate> auroc;

  int64_t n_with_logits = 0;  // rows that what follows is over; unset where 0
  std::optional<Estimate> nll, brier;
  std::optional<ClasswiseSums::BrierParts> brier_parts;
  std::optional<double> classwise_ece, classwise_ece_thresholded;
  double class_threshold = 0;
  friend bool operator==(const DetailedMetrics&, const DetailedMetrics&) = default;
};

// Takes rows one by one: 5 bytes a row, and O(K bins).
class DetailedAccumulator {
 public:
  explicit DetailedAccumulator(const DetailOptions& options = {}) : options_(options) {}

  // The confidence of the predicted class, [0, 1], and whether it was right.
  void Add(float confidence, bool correct);
  // The K probabilities of a row that was added, and its label in [0, K). K >= 2 is that of the first such
  // row; rows of another K are left out.
  void AddProbabilities(absl::Span<const float> probabilities, int label);

  // INVALID_ARGUMENT where a confidence was not in [0, 1]; CANCELLED.
  absl::StatusOr<DetailedMetrics> Metrics() const;

 private:
  const DetailOptions options_;
  std::vector<float> confidences_;
  std::vector<uint8_t> correct_;
  MeanEstimate nll_, brier_;
  std::optional<ClasswiseSums> all_, above_threshold_;
  size_t classes_ = 0;
};

// Applies `calibrator` to the rows and measures. Errors as Evaluate.
absl::StatusOr<DetailedMetrics> EvaluateDetailed(const Calibrator& calibrator, LogitsView logits,
                                                 absl::Span<const int32_t> labels,
                                                 const DetailOptions& options = {});

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_METRICS_DETAILED_METRICS_H_
