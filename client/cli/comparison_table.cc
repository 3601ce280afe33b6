#include "client/cli/comparison_table.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/metrics_table.h"
#include "client/cli/text_table.h"

namespace calserve::cli {

std::vector<std::string> ComparisonHeaders() {
  return {"method",         "ECE",  "NLL", "Brier", "accuracy change", "NLL above the best",
          "standard error", "time", ""};
}

std::vector<std::string> ComparisonCells(const MethodComparison& row) {
  const std::string name = MethodName(row.method);
  if (!row.failure.empty()) return {name, "-", "-", "-", "-", "-", "-", "-", row.failure};
  return {name,
          FormatMetric(row.ece),
          FormatMetric(row.nll),
          FormatMetric(row.brier),
          absl::StrFormat("%+.4f", row.accuracy_change),
          absl::StrFormat("%.5f", row.nll_excess),
          absl::StrFormat("%.5f", row.standard_error),
          absl::StrFormat("%.2f s", row.seconds),
          ""};
}

std::string ComparisonNote(bool optimistic, absl::string_view mark) {
  return absl::StrCat("On rows left out. ", mark, " is the simplest within one standard error of the best",
                      optimistic ? "; its figures are selected, optimistic" : "");
}

std::string ComparisonTable(const FitReport& report, CalibrationMethod chosen, const Terminal& terminal) {
  if (report.comparison.empty()) return "";
  const std::vector<std::string> headers = ComparisonHeaders();
  std::vector<TextTable::Column> columns = {{""}};
  for (size_t c = 0; c < headers.size(); ++c) {
    const bool text = c == 0 || c + 1 == headers.size();
    columns.push_back({headers[c], text ? TextTable::Align::kLeft : TextTable::Align::kRight});
  }
  TextTable table(std::move(columns));
  for (const MethodComparison& row : report.comparison) {
    std::vector<TextTable::Cell> cells = {row.method == chosen && row.failure.empty() ? "*" : ""};
    for (const std::string& cell : ComparisonCells(row)) cells.emplace_back(cell);
    table.AddRow(std::move(cells));
  }
  return absl::StrCat(table.ToString(terminal), ComparisonNote(report.selected_optimistic, "*"), "\n");
}

}  // namespace calserve::cli
