#ifndef CALSERVE_CLIENT_CLI_TEXT_TABLE_H_
#define CALSERVE_CLIENT_CLI_TEXT_TABLE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "client/cli/printable.h"
#include "client/cli/terminal.h"

namespace calserve::cli {

// Rows of text in aligned columns, two spaces apart.
class TextTable {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string header;  // shown as Printable
    Align align = Align::kLeft;
  };

  // What stands in a row: any text, as Printable, or text of our own that has a terminal's styles in it.
  class Cell {
   public:
    // NOLINTBEGIN(google-explicit-constructor): a row reads as the texts that it shows.
    Cell(absl::string_view text) : text_(Printable(text)) {}
    Cell(const std::string& text) : text_(Printable(text)) {}
    Cell(const char* text) : text_(Printable(text)) {}
    // NOLINTEND(google-explicit-constructor)
    Cell() = default;
    static Cell Styled(std::string text) {
      Cell cell;
      cell.text_ = std::move(text);
      return cell;
    }
    const std::string& text() const { return text_; }

   private:
    std::string text_;
  };

  explicit TextTable(std::vector<Column> columns);

  // As many cells as columns; missing ones are empty.
  void AddRow(std::vector<Cell> cells);
  // Lines, each ended; the header in bold.
  std::string ToString(const Terminal& terminal) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_TEXT_TABLE_H_
