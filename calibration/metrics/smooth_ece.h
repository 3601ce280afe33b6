#ifndef CALSERVE_CALIBRATION_METRICS_SMOOTH_ECE_H_
#define CALSERVE_CALIBRATION_METRICS_SMOOTH_ECE_H_

#include "absl/types/span.h"
#include "calibration/metrics/confidence_groups.h"

namespace calserve {

// Below this bandwidth the smooth ECE is not looked for; relplot stops there too.
inline constexpr double kSmallestBandwidth = 1e-3;

// Smooth ECE at a bandwidth in [kSmallestBandwidth, 1]:
//   smECE_s = integral over t in [0, 1] of |r_s(t)|,  r_s(t) = (1/n) sum_i (y_i - f_i) K_s(t, f_i),
// f the confidence, y whether right, K_s(., f) the normal density about f with standard deviation s,
// reflected at 0 and 1 so that all of its mass stays inside. Exact to 1e-9: r_s is a cosine series,
// integrated term by term between its zeros. It falls as s grows, and is |mean(y - f)| exactly where r_s
// keeps one sign.
double SmoothEceAt(absl::Span<const ConfidenceGroup> groups, double bandwidth);

// Smooth ECE: the s with smECE_s = s, or smECE at kSmallestBandwidth where that is smaller still; a
// consistent measure without bins (Blasiok and Nakkiran, 2023, arXiv 2309.12236). In [0, 1]; 0 for no rows.
// relplot's own differs where confidences sit at 0 or 1: it counts them half (docs/metrics.md).
double SmoothEce(absl::Span<const ConfidenceGroup> groups);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_METRICS_SMOOTH_ECE_H_
