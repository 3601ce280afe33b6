#include "client/cli/report_output.h"

#include "absl/strings/str_cat.h"
#include "calibration_io/file.h"
#include "client/cli/printable.h"
#include "client/cli/reliability_svg.h"
#include "client/cli/reliability_text.h"

namespace calserve::cli {

absl::Status WriteReportFiles(const ReportFiles& files, const std::string& title,
                              absl::Span<const NamedMetrics> columns,
                              absl::Span<const std::string> paragraphs, const MethodChoice& choice) {
  if (!files.svg.empty()) {
    const std::string name = absl::StrCat(title, ", ", columns[0].name);
    absl::Status status = WriteWholeFile(files.svg, ReliabilitySvg(columns[0].metrics, name).Standalone());
    if (!status.ok()) return status;
  }
  if (files.html.empty()) return absl::OkStatus();
  return WriteWholeFile(files.html,
                        ReportHtml(absl::StrCat("Calibration of ", title), paragraphs, columns, choice));
}

std::string ReportText(absl::Span<const NamedMetrics> columns, const Terminal& terminal) {
  return absl::StrCat(MetricsTable(columns, terminal), "\n", terminal.Bold(Printable(columns[0].name)), "\n",
                      ReliabilityText(columns[0].metrics, terminal));
}

}  // namespace calserve::cli
