#ifndef CALSERVE_CLIENT_CLI_REPORT_HTML_H_
#define CALSERVE_CLIENT_CLI_REPORT_HTML_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "calibration/choose_method.h"
#include "client/cli/metrics_table.h"

namespace calserve::cli {

// What `auto` compared, and took.
struct MethodChoice {
  absl::Span<const MethodComparison> comparison;
  CalibrationMethod chosen = CalibrationMethod::kNone;
  bool optimistic = false;  // the chosen one's figures are of the rows that chose it
};

// One HTML page that needs no network and no script, for screens of any width, light or dark, and for print:
// a heading, paragraphs, the table of metrics; where there are several of `columns`, how they compare, and
// where `choice` has any, how the methods did; a reliability diagram and a histogram of the confidence of
// each; and diagrams of classes where columns have them. All text is escaped.
std::string ReportHtml(absl::string_view title, absl::Span<const std::string> paragraphs,
                       absl::Span<const NamedMetrics> columns, const MethodChoice& choice = {});

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_REPORT_HTML_H_
