#include "client/cli/report_html.h"

#include "absl/strings/str_cat.h"
#include "client/cli/reliability_svg.h"

namespace calserve::cli {

std::string ReportHtml(absl::string_view title, absl::Span<const std::string> paragraphs,
                       absl::Span<const NamedMetrics> columns) {
  std::string out = absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
      EscapeXml(title),
      "</title>\n<style>\n"
      "body { font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222; }\n"
      "table { border-collapse: collapse; margin: 1.5em 0; }\n"
      "th, td { padding: .25em 1em; text-align: right; border-bottom: 1px solid #ddd; }\n"
      "th[scope=row] { text-align: left; font-weight: normal; }\n"
      ".diagrams { display: flex; flex-wrap: wrap; gap: 1.5em; }\n"
      "</style>\n</head>\n<body>\n<h1>",
      EscapeXml(title), "</h1>\n");
  for (const std::string& paragraph : paragraphs)
    absl::StrAppend(&out, "<p>", EscapeXml(paragraph), "</p>\n");
  absl::StrAppend(&out, "<table>\n<thead><tr><th></th>");
  for (const NamedMetrics& column : columns) {
    absl::StrAppend(&out, "<th scope=\"col\">", EscapeXml(column.name), "</th>");
  }
  absl::StrAppend(&out, "</tr></thead>\n<tbody>\n");
  for (const std::vector<std::string>& row : MetricsRows(columns)) {
    absl::StrAppend(&out, "<tr><th scope=\"row\">", EscapeXml(row[0]), "</th>");
    for (size_t i = 1; i < row.size(); ++i) absl::StrAppend(&out, "<td>", EscapeXml(row[i]), "</td>");
    absl::StrAppend(&out, "</tr>\n");
  }
  absl::StrAppend(&out, "</tbody>\n</table>\n<div class=\"diagrams\">\n");
  for (const NamedMetrics& column : columns)
    absl::StrAppend(&out, ReliabilitySvg(column.metrics, column.name));
  absl::StrAppend(&out, "</div>\n</body>\n</html>\n");
  return out;
}

}  // namespace calserve::cli
