#ifndef CALSERVE_CLIENT_CLI_RELIABILITY_TEXT_H_
#define CALSERVE_CLIENT_CLI_RELIABILITY_TEXT_H_

#include <limits>
#include <string>

#include "calibration/metrics.h"
#include "client/cli/terminal.h"

namespace calserve::cli {

// A reliability diagram in text: a line for each bin that holds rows, with its range, its rows, mean
// confidence, accuracy, and a bar from 0 to 1; on a wide terminal also the accuracy's 95 % interval, on a
// narrow one neither rows nor confidence. A solid bar reaches to the lower of accuracy and confidence; what
// follows is the gap, light (".") where the confidence is too high, dark ("+") where it is too low. Ends with
// a legend. Of more than `max_bins` bins those with the fewest rows are left out, and their number is said.
std::string ReliabilityText(const CalibrationMetrics& metrics, const Terminal& terminal,
                            int max_bins = std::numeric_limits<int>::max());

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_RELIABILITY_TEXT_H_
