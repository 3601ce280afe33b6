#include "client/cli/metrics_table.h"

#include <algorithm>
#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/details_table.h"
#include "client/cli/printable.h"
#include "client/cli/text_table.h"

namespace calserve::cli {
namespace {

std::string Interval(const CalibrationMetrics& metrics) {
  if (!metrics.ece_low.has_value() || !metrics.ece_high.has_value()) return "-";
  return absl::StrCat(FormatMetric(metrics.ece_low), " to ", FormatMetric(metrics.ece_high));
}

int CellWidth(const std::vector<std::vector<std::string>>& rows, size_t column) {
  int width = 0;
  for (const std::vector<std::string>& row : rows) width = std::max(width, DisplayWidth(row[column]));
  return width;
}

struct Metric {
  const char* name;
  std::string (*format)(const CalibrationMetrics& metrics);
};
constexpr Metric kMetrics[] = {
    {"n", [](const CalibrationMetrics& m) { return absl::StrCat(m.n); }},
    {"accuracy", [](const CalibrationMetrics& m) { return FormatMetric(m.accuracy); }},
    {"mean confidence", [](const CalibrationMetrics& m) { return FormatMetric(m.mean_confidence); }},
    {"ECE", [](const CalibrationMetrics& m) { return FormatMetric(m.ece); }},
    {"ECE, 95 % interval", Interval},
    {"ECE noise floor", [](const CalibrationMetrics& m) { return FormatMetric(m.noise_floor); }},
    {"MCE", [](const CalibrationMetrics& m) { return FormatMetric(m.mce); }},
    {"NLL (nats)", [](const CalibrationMetrics& m) { return FormatMetric(m.nll); }},
    {"Brier score", [](const CalibrationMetrics& m) { return FormatMetric(m.brier); }},
};

}  // namespace

std::string FormatMetric(std::optional<double> value) {
  return value.has_value() ? absl::StrFormat("%.4f", *value) : "-";
}

std::string FormatMetric(const CalibrationMetrics& metrics, std::optional<double> value) {
  return metrics.n > 0 ? FormatMetric(value) : "-";
}

std::vector<std::vector<std::string>> MetricsRows(absl::Span<const NamedMetrics> columns) {
  std::vector<std::vector<std::string>> rows;
  for (const Metric& metric : kMetrics) {
    std::vector<std::string> row = {metric.name};
    const bool counts = &metric == &kMetrics[0];
    for (const NamedMetrics& column : columns) {
      // Without a label nothing is known: zeros would look like perfect calibration.
      row.push_back(counts || column.metrics.n > 0 ? metric.format(column.metrics) : "-");
    }
    rows.push_back(std::move(row));
  }
  for (std::vector<std::string>& row : DetailsRows(columns)) rows.push_back(std::move(row));
  return rows;
}

std::string MetricsTable(absl::Span<const NamedMetrics> columns, const Terminal& terminal) {
  const std::vector<std::vector<std::string>> rows = MetricsRows(columns);
  std::string out;
  for (size_t first = 1; first <= columns.size();) {
    // As many columns as fit, at least one.
    size_t end = columns.size() + 1;
    if (terminal.interactive) {
      int width = CellWidth(rows, 0);
      for (end = first; end <= columns.size(); ++end) {
        width += 2 + std::max(DisplayWidth(Printable(columns[end - 1].name)), CellWidth(rows, end));
        if (width > terminal.width && end > first) break;
      }
    }
    std::vector<TextTable::Column> headers = {{"", TextTable::Align::kLeft}};
    for (size_t c = first; c < end; ++c) headers.push_back({columns[c - 1].name, TextTable::Align::kRight});
    TextTable table(std::move(headers));
    for (const std::vector<std::string>& row : rows) {
      std::vector<TextTable::Cell> cells = {row[0]};
      for (size_t c = first; c < end; ++c) cells.emplace_back(row[c]);
      table.AddRow(std::move(cells));
    }
    absl::StrAppend(&out, first == 1 ? "" : "\n", table.ToString(terminal));
    first = end;
  }
  return out;
}

}  // namespace calserve::cli
