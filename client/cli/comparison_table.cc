#include "client/cli/comparison_table.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/metrics_table.h"
#include "client/cli/text_table.h"

namespace calserve::cli {

std::string ComparisonTable(const FitReport& report, CalibrationMethod chosen, const Terminal& terminal) {
  if (report.comparison.empty()) return "";
  constexpr TextTable::Align kRight = TextTable::Align::kRight;
  TextTable table({{""},
                   {"method"},
                   {"ECE", kRight},
                   {"NLL", kRight},
                   {"Brier", kRight},
                   {"accuracy change", kRight},
                   {"NLL above the best", kRight},
                   {"standard error", kRight},
                   {"time", kRight},
                   {""}});
  for (const MethodComparison& row : report.comparison) {
    const std::string name = MethodName(row.method);
    if (!row.failure.empty()) {
      table.AddRow({"", name, "-", "-", "-", "-", "-", "-", "-", row.failure});
      continue;
    }
    table.AddRow({row.method == chosen ? "*" : "", name, FormatMetric(row.ece), FormatMetric(row.nll),
                  FormatMetric(row.brier), absl::StrFormat("%+.4f", row.accuracy_change),
                  absl::StrFormat("%.5f", row.nll_excess), absl::StrFormat("%.5f", row.standard_error),
                  absl::StrFormat("%.2f s", row.seconds)});
  }
  std::string note = "On rows left out. * is the simplest within one standard error of the best";
  if (report.selected_optimistic) absl::StrAppend(&note, "; its figures are selected, optimistic");
  return absl::StrCat(table.ToString(terminal), note, "\n");
}

}  // namespace calserve::cli
