#ifndef CALSERVE_CLIENT_CLI_COMPARISON_TABLE_H_
#define CALSERVE_CLIENT_CLI_COMPARISON_TABLE_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "calibration/fit.h"
#include "client/cli/terminal.h"

namespace calserve::cli {

// The methods that `auto` compared, a row each, the chosen one marked; empty for a report without them.
std::string ComparisonTable(const FitReport& report, CalibrationMethod chosen, const Terminal& terminal);

// Its parts, for a page: the headers, the cells of a row (the last says why a method could not be fitted),
// and what the marked one is.
std::vector<std::string> ComparisonHeaders();
std::vector<std::string> ComparisonCells(const MethodComparison& row);
std::string ComparisonNote(bool optimistic, absl::string_view mark);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_COMPARISON_TABLE_H_
