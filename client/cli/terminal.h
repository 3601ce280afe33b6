#ifndef CALSERVE_CLIENT_CLI_TERMINAL_H_
#define CALSERVE_CLIENT_CLI_TERMINAL_H_

#include <cstdio>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace calserve::cli {

// What a stream can show. A file or pipe gets neither colour nor redrawing.
struct Terminal {
  bool interactive = false;  // a terminal that is not "dumb": lines can be redrawn
  bool colour = false;       // interactive, and NO_COLOR is not set (no-color.org)
  bool utf8 = true;          // of the locale; else bars are drawn in ASCII
  int width = 80;            // columns
  int height = 24;           // lines

  static Terminal Detect(std::FILE* stream);

  // `text` in that style where there is colour, else as it is.
  std::string Bold(absl::string_view text) const { return Styled("1", text); }
  std::string Dim(absl::string_view text) const { return Styled("2", text); }
  std::string Green(absl::string_view text) const { return Styled("32", text); }
  std::string Red(absl::string_view text) const { return Styled("31", text); }

 private:
  std::string Styled(const char* code, absl::string_view text) const;
};

// Columns that `text` takes: code points, without escape sequences of a style.
int DisplayWidth(absl::string_view text);

// Shows how far something is on standard error: one line redrawn on a terminal, a line every tenth otherwise.
class ProgressLine {
 public:
  // Nothing is shown where `quiet`, nor of what is done within a moment.
  ProgressLine(absl::string_view title, bool quiet);
  ~ProgressLine();
  // `note` follows the bar. Where `done` falls, another stage has begun.
  void Update(int64_t done, int64_t total, absl::string_view note = "");

 private:
  const std::string title_;
  const bool quiet_;
  const Terminal terminal_;
  const absl::Time started_;
  int shown_tenth_ = -1;
  std::string shown_;  // on a terminal
  bool line_open_ = false;
};

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_TERMINAL_H_
