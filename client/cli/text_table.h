#ifndef CALSERVE_CLIENT_CLI_TEXT_TABLE_H_
#define CALSERVE_CLIENT_CLI_TEXT_TABLE_H_

#include <string>
#include <vector>

#include "client/cli/terminal.h"

namespace calserve::cli {

// Rows of text in aligned columns, two spaces apart.
class TextTable {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string header;
    Align align = Align::kLeft;
  };

  explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as columns; missing ones are empty.
  void AddRow(std::vector<std::string> cells);
  // Lines, each ended; the header in bold.
  std::string ToString(const Terminal& terminal) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_TEXT_TABLE_H_
