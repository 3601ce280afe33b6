#ifndef CALSERVE_CLIENT_CLI_RELIABILITY_SVG_H_
#define CALSERVE_CLIENT_CLI_RELIABILITY_SVG_H_

#include "absl/strings/string_view.h"
#include "calibration/metrics.h"
#include "calibration/metrics/estimate.h"
#include "client/cli/svg.h"

namespace calserve::cli {

// A reliability diagram: accuracy by confidence with the gap to the diagonal and a 95 % interval a bin, the
// rows of each bin below it, and ECE with its interval in words.
Svg ReliabilitySvg(const CalibrationMetrics& metrics, absl::string_view title);

// How many rows, by confidence, were right and how many wrong; lines at the mean confidence and the accuracy.
Svg ConfidenceSvg(const CalibrationMetrics& metrics, absl::string_view title);

// The accuracy of a bin with Wilson's 95 % interval. In a decaying window a bin counts as many rows as it
// has effectively.
Estimate BinAccuracy(const ReliabilityBin& bin, const CalibrationMetrics& metrics);

// "842", "12.3k", "1.2M": at most five characters for up to 999 million.
std::string CompactCount(double count);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_RELIABILITY_SVG_H_
