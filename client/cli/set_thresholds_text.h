#ifndef CALSERVE_CLIENT_CLI_SET_THRESHOLDS_TEXT_H_
#define CALSERVE_CLIENT_CLI_SET_THRESHOLDS_TEXT_H_

#include <string>
#include <vector>

#include "calibration/set_threshold.h"

namespace calserve::cli {

// What a calibrator can be asked for with `predict --prediction-set`: a line for each threshold; one that
// says so where it has none.
std::string SetThresholdsText(const std::vector<SetThreshold>& thresholds);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_SET_THRESHOLDS_TEXT_H_
