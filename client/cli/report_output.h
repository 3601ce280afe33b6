#ifndef CALSERVE_CLIENT_CLI_REPORT_OUTPUT_H_
#define CALSERVE_CLIENT_CLI_REPORT_OUTPUT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "client/cli/metrics_table.h"
#include "client/cli/report_html.h"

namespace calserve::cli {

// Files that a report may be written to; empty: not.
struct ReportFiles {
  std::string svg;   // the reliability diagram of the first column
  std::string html;  // table and every diagram
};
absl::Status WriteReportFiles(const ReportFiles& files, const std::string& title,
                              absl::Span<const NamedMetrics> columns,
                              absl::Span<const std::string> paragraphs = {}, const MethodChoice& choice = {});

// The table, and the reliability diagram of the first column.
std::string ReportText(absl::Span<const NamedMetrics> columns, const Terminal& terminal);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_REPORT_OUTPUT_H_
