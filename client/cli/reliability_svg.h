#ifndef CALSERVE_CLIENT_CLI_RELIABILITY_SVG_H_
#define CALSERVE_CLIENT_CLI_RELIABILITY_SVG_H_

#include <string>

#include "absl/strings/string_view.h"
#include "calibration/metrics.h"

namespace calserve::cli {

// A reliability diagram as one SVG element without scripts, styles or links: accuracy by confidence with the
// gap to the diagonal, a histogram of the rows below, ECE with its interval in words, and a title and
// description for those who cannot see it. Well-formed XML whatever `title` holds. Written by hand: Debian 12
// has no C++ library that draws static charts as SVG without bringing a GUI toolkit.
std::string ReliabilitySvg(const CalibrationMetrics& metrics, absl::string_view title);

// Text that may stand in XML or HTML content and quoted attributes.
std::string EscapeXml(absl::string_view text);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_RELIABILITY_SVG_H_
