#ifndef CALSERVE_CALIBRATION_METRICS_BINNED_ERRORS_H_
#define CALSERVE_CALIBRATION_METRICS_BINNED_ERRORS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "calibration/metrics.h"
#include "calibration/metrics/confidence_groups.h"
#include "calibration/metrics/estimate.h"

namespace calserve {

// Calibration errors of the predicted class over bins: n_b rows of accuracy a_b and mean confidence c_b in
// bin b, N rows in all. 0 for no rows.

// Bins of equal width, as CalibrationMetrics has them (BinIndex).
std::vector<ReliabilityBin> EqualWidthBins(absl::Span<const ConfidenceGroup> groups, int bins);

// Bins of equal mass: the sorted rows in min(bins, N) parts as equal as can be, the larger first
// (numpy.array_split; Kumar et al., 2019, `get_equal_bins`). Rows of equal confidence stay together in the
// lower part, so there may be fewer bins, none of them empty. Edges are half-way between neighbours, 0 and 1
// at the ends.
std::vector<ReliabilityBin> EqualMassBins(absl::Span<const ConfidenceGroup> groups, int bins);

// sum_b (n_b / N) |a_b - c_b|: ECE over equal width (Guo et al., 2017), adaptive ECE over equal mass (Nguyen
// and O'Connor, 2015).
double ExpectedCalibrationError(absl::Span<const ReliabilityBin> bins);

// The same with the interval of AddEceInterval.
Estimate ExpectedCalibrationErrorWithInterval(std::vector<ReliabilityBin> bins);

// max |a_b - c_b| over bins of at least `least_count` rows (Naeini et al., 2015, there with 1): the gap of a
// bin of few rows is noise. Unset where no bin has as many.
std::optional<double> MaximumCalibrationError(absl::Span<const ReliabilityBin> bins, int64_t least_count);

// sqrt(sum_b (n_b / N) (a_b - c_b)^2) (Hendrycks et al., 2019).
double RmsCalibrationError(absl::Span<const ReliabilityBin> bins);

// sqrt(max(0, D)), D = sum_b (n_b / N) ((a_b - c_b)^2 - a_b (1 - a_b) / (n_b - 1)), a bin of one row adding
// 0: the noise of a_b does not add to it, as it does to the RMS (Kumar et al., 2019, `unbiased_l2_ce`).
// Interval: D +- 1.96 standard errors, rooted; the variance of D is
//   sum_b (n_b / N)^2 (4 d_b v_b + 2 v_b^2) + (sum_b (n_b / N) d_b^2 - D^2) / N,
// v_b = (a_b (1 - a_b) + w_b^2 / 12) / n_b, w_b the bin's width, d_b the bin's term of D, at least 0 (the
// variance of a square of a normal variable, and that of the bins' shares).
Estimate DebiasedL2(absl::Span<const ReliabilityBin> bins);

// The adaptive ECE with as many bins, at most kMaxBins, as leave a_b non-decreasing for that number and every
// smaller one (Roelofs et al., 2022: ECE_sweep).
struct EceSweep {
  double value = 0;
  int bins = 0;
};
EceSweep SweepCalibrationError(absl::Span<const ConfidenceGroup> groups);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_METRICS_BINNED_ERRORS_H_
