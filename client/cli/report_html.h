#ifndef CALSERVE_CLIENT_CLI_REPORT_HTML_H_
#define CALSERVE_CLIENT_CLI_REPORT_HTML_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "client/cli/metrics_table.h"

namespace calserve::cli {

// One HTML page that needs no network: a heading, paragraphs, the table of metrics and a reliability diagram
// for each of `columns`. All text is escaped.
std::string ReportHtml(absl::string_view title, absl::Span<const std::string> paragraphs,
                       absl::Span<const NamedMetrics> columns);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_REPORT_HTML_H_
