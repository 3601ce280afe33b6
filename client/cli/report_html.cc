#include "client/cli/report_html.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/cli/comparison_table.h"
#include "client/cli/dot_plot_svg.h"
#include "client/cli/reliability_svg.h"

namespace calserve::cli {
namespace {

constexpr char kPageStyle[] =
    "* { box-sizing: border-box; }\n"
    "body { font: 16px/1.5 system-ui, sans-serif; max-width: 74em; margin: 2em auto; padding: 0 1em;\n"
    "  color: var(--ink); background: var(--paper); }\n"
    "h1 { font-size: 1.7em; line-height: 1.2; overflow-wrap: anywhere; }\n"
    "h2 { font-size: 1.25em; margin: 2em 0 .5em; } h3 { font-size: 1em; margin: 1.5em 0 .5em; }\n"
    ".note { color: var(--muted); margin: 0 0 1em; }\n"
    ".scroll { overflow-x: auto; }\n"
    "table { border-collapse: collapse; font-variant-numeric: tabular-nums; }\n"
    "th, td { padding: .25em .8em; text-align: right; border-bottom: 1px solid var(--grid); }\n"
    "thead th { vertical-align: bottom; overflow-wrap: anywhere; min-width: 6em; }\n"
    "th[scope=row] { text-align: left; font-weight: normal; white-space: nowrap; }\n"
    "td { white-space: nowrap; } td.text { text-align: left; white-space: normal; }\n"
    "thead th:first-child { text-align: left; } tr.chosen th, tr.chosen td { font-weight: bold; }\n"
    ".charts { display: flex; flex-wrap: wrap; gap: 1.5em; align-items: flex-start; }\n"
    ".charts svg { max-width: 100%; height: auto; }\n"
    "@media print {\n"
    "  body { max-width: none; margin: 0; font-size: 10pt; }\n"
    "  svg, tr, p { break-inside: avoid; print-color-adjust: exact; -webkit-print-color-adjust: exact; }\n"
    "  h2, h3, .note { break-after: avoid; } .scroll { overflow: visible; }\n"
    "  .charts { display: block; }\n"
    "  .charts svg { display: inline-block; max-width: 47%; margin: 0 1% 1em 0; vertical-align: top; }\n"
    "  table { font-size: 8pt; } th, td { padding: .15em .4em; }\n"
    "}\n";

using Rows = std::vector<std::vector<std::string>>;

// A heading, its note, and charts.
void Charts(absl::string_view heading, absl::string_view note, const std::vector<Svg>& charts,
            std::string* out) {
  if (charts.empty()) return;
  absl::StrAppend(out, "<section>\n<h2>", EscapeXml(heading), "</h2>\n");
  if (!note.empty()) absl::StrAppend(out, "<p class=\"note\">", EscapeXml(note), "</p>\n");
  absl::StrAppend(out, "<div class=\"charts\">\n");
  for (const Svg& chart : charts) absl::StrAppend(out, chart.Inline());
  absl::StrAppend(out, "</div>\n</section>\n");
}

// A table that scrolls by itself where the screen is narrow. Its first column names the rows.
void BeginTable(absl::string_view name, const std::vector<std::string>& headers, std::string* out) {
  absl::StrAppend(out, "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"", EscapeXml(name),
                  "\">\n<table>\n<thead><tr>");
  for (const std::string& header : headers) {
    absl::StrAppend(out, header.empty() ? "<td></td>" : "<th scope=\"col\">", EscapeXml(header),
                    header.empty() ? "" : "</th>");
  }
  absl::StrAppend(out, "</tr></thead>\n<tbody>\n");
}

void Row(const std::vector<std::string>& cells, bool chosen, std::string* out) {
  absl::StrAppend(out, chosen ? "<tr class=\"chosen\">" : "<tr>", "<th scope=\"row\">", EscapeXml(cells[0]),
                  "</th>");
  for (size_t i = 1; i < cells.size(); ++i) absl::StrAppend(out, "<td>", EscapeXml(cells[i]), "</td>");
  absl::StrAppend(out, "</tr>\n");
}

void EndTable(std::string* out) { absl::StrAppend(out, "</tbody>\n</table>\n</div>\n"); }

void Metrics(absl::Span<const NamedMetrics> columns, std::string* out) {
  absl::StrAppend(out, "<section>\n<h2>Metrics</h2>\n");
  std::vector<std::string> headers = {""};
  for (const NamedMetrics& column : columns) headers.push_back(column.name);
  BeginTable("Metrics", headers, out);
  for (const std::vector<std::string>& row : MetricsRows(columns)) Row(row, false, out);
  EndTable(out);
  absl::StrAppend(out, "</section>\n");
}

void Methods(const MethodChoice& choice, std::string* out) {
  if (choice.comparison.empty()) return;
  Charts("Methods compared", ComparisonNote(choice.optimistic, "★"),
         MethodComparisonCharts(choice.comparison, choice.chosen), out);
  const std::vector<std::string> headers = ComparisonHeaders();
  BeginTable("Methods compared", headers, out);
  for (const MethodComparison& row : choice.comparison) {
    Row(ComparisonCells(row), row.method == choice.chosen, out);
  }
  EndTable(out);
}

void Diagrams(absl::Span<const NamedMetrics> columns, std::string* out) {
  std::vector<Svg> reliability, confidence;
  for (const NamedMetrics& column : columns) {
    reliability.push_back(ReliabilitySvg(column.metrics, column.name));
    confidence.push_back(ConfidenceSvg(column.metrics, column.name));
  }
  Charts("Reliability",
         "Bars reach to the accuracy of the rows with that confidence; a calibrated model's follow the "
         "dashed diagonal. The coloured line is the mean confidence, and the area up to it the gap.",
         reliability, out);
  Charts("Confidence", "How many rows had that confidence, and how many of them were right.", confidence,
         out);
}

void Classes(absl::Span<const NamedMetrics> columns, std::string* out) {
  const auto has_classes = [](const NamedMetrics& column) { return !column.classes.empty(); };
  if (std::none_of(columns.begin(), columns.end(), has_classes)) return;
  absl::StrAppend(out,
                  "<section>\n<h2>Classes</h2>\n<p class=\"note\">The probability of one class against how ",
                  "often the label was that class: the ", kMaxClassDiagrams,
                  " classes with the most rows at most. Larger points hold more rows.</p>\n");
  for (const NamedMetrics& column : columns) {
    if (column.classes.empty()) continue;
    absl::StrAppend(out, "<h3>", EscapeXml(column.name), "</h3>\n<div class=\"charts\">\n");
    for (const ClassDiagram& diagram : column.classes) absl::StrAppend(out, ClassSvg(diagram).Inline());
    absl::StrAppend(out, "</div>\n");
  }
  absl::StrAppend(out, "</section>\n");
}

}  // namespace

std::string ReportHtml(absl::string_view title, absl::Span<const std::string> paragraphs,
                       absl::Span<const NamedMetrics> columns, const MethodChoice& choice) {
  std::string out = absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>",
      EscapeXml(title), "</title>\n<style>\n", ChartStyle(":root"), kPageStyle,
      "</style>\n</head>\n<body>\n<main>\n<h1>", EscapeXml(title), "</h1>\n");
  for (const std::string& paragraph : paragraphs)
    absl::StrAppend(&out, "<p>", EscapeXml(paragraph), "</p>\n");
  Metrics(columns, &out);
  Methods(choice, &out);
  Charts("Side by side", "", ColumnComparison(columns), &out);
  Diagrams(columns, &out);
  Classes(columns, &out);
  absl::StrAppend(&out, "</main>\n</body>\n</html>\n");
  return out;
}

}  // namespace calserve::cli
