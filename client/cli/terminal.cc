#include "client/cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cli/printable.h"

namespace calserve::cli {
namespace {

std::string Environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool LocaleIsUtf8() {
  std::string locale = Environment("LC_ALL");
  if (locale.empty()) locale = Environment("LC_CTYPE");
  if (locale.empty()) locale = Environment("LANG");
  locale = absl::AsciiStrToLower(locale);
  return absl::StrContains(locale, "utf-8") || absl::StrContains(locale, "utf8");
}

std::string Repeat(absl::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) absl::StrAppend(&out, text);
  return out;
}

}  // namespace

Terminal Terminal::Detect(std::FILE* stream) {
  Terminal out;
  out.interactive = isatty(fileno(stream)) != 0 && Environment("TERM") != "dumb";
  out.colour = out.interactive && Environment("NO_COLOR").empty();
  out.utf8 = LocaleIsUtf8();
  winsize size{};
  if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0) {
    if (size.ws_col > 0) out.width = size.ws_col;
    if (size.ws_row > 0) out.height = size.ws_row;
  }
  return out;
}

std::string Terminal::Styled(const char* code, absl::string_view text) const {
  return colour ? absl::StrCat("\x1b[", code, "m", text, "\x1b[0m") : std::string(text);
}

int DisplayWidth(absl::string_view text) {
  int width = 0;
  bool escape = false;
  for (const char c : text) {
    if (c == '\x1b') escape = true;
    if (!escape && (static_cast<unsigned char>(c) & 0xC0) != 0x80) ++width;
    if (escape && c == 'm') escape = false;
  }
  return width;
}

ProgressLine::ProgressLine(absl::string_view title, bool quiet)
    : title_(Printable(title)), quiet_(quiet), terminal_(Terminal::Detect(stderr)), started_(absl::Now()) {}

ProgressLine::~ProgressLine() {
  if (line_open_) std::fputc('\n', stderr);
}

void ProgressLine::Update(int64_t done, int64_t total, absl::string_view note) {
  constexpr absl::Duration kMoment = absl::Milliseconds(500);
  const std::string shown_note = Printable(note);
  if (quiet_ || total <= 0 || (!line_open_ && shown_tenth_ < 0 && absl::Now() - started_ < kMoment)) return;
  if (terminal_.interactive) {
    constexpr int kWidth = 24;
    const int filled = static_cast<int>(kWidth * done / total);
    const std::string bar = absl::StrCat(Repeat(terminal_.utf8 ? "━" : "=", filled),
                                         terminal_.Dim(Repeat(terminal_.utf8 ? "─" : "-", kWidth - filled)));
    const std::string line =
        absl::StrCat("\r\x1b[K", title_, "  ", bar, "  ", done, "/", total, "  ", shown_note);
    if (line != shown_) std::fputs(line.c_str(), stderr);
    shown_ = line;
    line_open_ = true;
    return;
  }
  const int tenth = static_cast<int>(10 * done / total);
  if (tenth < shown_tenth_) shown_tenth_ = -1;
  if (tenth <= shown_tenth_) return;
  shown_tenth_ = tenth;
  std::fputs(absl::StrCat(title_, "  ", done, "/", total, note.empty() ? "" : "  ", shown_note, "\n").c_str(),
             stderr);
}

}  // namespace calserve::cli
