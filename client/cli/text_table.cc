#include "client/cli/text_table.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace calserve::cli {

TextTable::TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {
  for (Column& column : columns_) column.header = Printable(column.header);
}

void TextTable::AddRow(std::vector<Cell> cells) {
  cells.resize(columns_.size());
  rows_.push_back(std::move(cells));
}

std::string TextTable::ToString(const Terminal& terminal) const {
  std::vector<int> widths;
  for (size_t c = 0; c < columns_.size(); ++c) {
    int width = DisplayWidth(columns_[c].header);
    for (const std::vector<Cell>& row : rows_) width = std::max(width, DisplayWidth(row[c].text()));
    widths.push_back(width);
  }
  const auto line = [&](const auto& cell_of) {
    std::string out;
    for (size_t c = 0; c < columns_.size(); ++c) {
      const std::string& cell = cell_of(c);
      const std::string padding(widths[c] - DisplayWidth(cell), ' ');
      absl::StrAppend(&out, c == 0 ? "" : "  ",
                      columns_[c].align == Align::kRight ? padding + cell : cell + padding);
    }
    absl::StripTrailingAsciiWhitespace(&out);
    return out;
  };
  std::string out;
  const std::string header = line([&](size_t c) -> const std::string& { return columns_[c].header; });
  if (!header.empty()) absl::StrAppend(&out, terminal.Bold(header), "\n");
  for (const std::vector<Cell>& row : rows_) {
    absl::StrAppend(&out, line([&](size_t c) -> const std::string& { return row[c].text(); }), "\n");
  }
  return out;
}

}  // namespace calserve::cli
