#ifndef CALSERVE_CLIENT_CLI_DOT_PLOT_SVG_H_
#define CALSERVE_CLIENT_CLI_DOT_PLOT_SVG_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "calibration/choose_method.h"
#include "client/cli/metrics_table.h"
#include "client/cli/svg.h"

namespace calserve::cli {

// One number of each of several calibrators, side by side.
struct Dot {
  std::string name;
  double value = 0;
  std::optional<double> low, high;  // its interval
  std::optional<double> mark;       // a tick: what it is to be held against
  bool emphasised = false;
};

// A line a dot, from 0 (or the least value where that is below, or `from_zero` is not set) to the greatest.
Svg DotPlotSvg(absl::string_view title, absl::string_view note, const std::vector<Dot>& dots, bool from_zero);

// The ECE with its interval and noise floor, and the NLL, of columns that hold rows.
std::vector<Svg> ColumnComparison(absl::Span<const NamedMetrics> columns);
// Of auto's comparison: the NLL above the best with the standard error of the paired difference, and the ECE.
std::vector<Svg> MethodComparisonCharts(absl::Span<const MethodComparison> comparison,
                                        CalibrationMethod chosen);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_DOT_PLOT_SVG_H_
