#ifndef CALSERVE_CLIENT_CLI_COMPARISON_TABLE_H_
#define CALSERVE_CLIENT_CLI_COMPARISON_TABLE_H_

#include <string>

#include "calibration/fit.h"
#include "client/cli/terminal.h"

namespace calserve::cli {

// The methods that `auto` compared, a row each, the chosen one marked; empty for a report without them.
std::string ComparisonTable(const FitReport& report, CalibrationMethod chosen, const Terminal& terminal);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_COMPARISON_TABLE_H_
