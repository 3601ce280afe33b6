#include "client/cli/watch_screen.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/alarm_text.h"
#include "client/cli/attribute_option.h"
#include "client/cli/json_output.h"
#include "client/cli/metrics_table.h"
#include "client/cli/printable.h"
#include "client/cli/reliability_text.h"
#include "client/cli/text_table.h"

namespace calserve::cli {
namespace {

// Columns of the table of windows that a terminal of fewer columns does without.
constexpr int kFullWidth = 92, kShortWidth = 56;

std::string WindowsTable(const std::map<std::string, client::WindowReport>& newest,
                         const Terminal& terminal) {
  struct Column {
    const char* header;
    int needs;  // columns of the terminal
    std::string (*cell)(const client::WindowReport& report);
  };
  using Report = client::WindowReport;
  static constexpr Column kColumns[] = {
      {"window", 0, [](const Report& r) { return r.window; }},
      {"calibrator", kFullWidth, [](const Report& r) { return absl::StrCat(r.calibrator_version); }},
      {"n", 0, [](const Report& r) { return absl::StrCat(r.served.n); }},
      {"accuracy", 0, [](const Report& r) { return FormatMetric(r.served, r.served.accuracy); }},
      {"confidence", kShortWidth,
       [](const Report& r) { return FormatMetric(r.served, r.served.mean_confidence); }},
      {"ECE", 0, [](const Report& r) { return FormatMetric(r.served, r.served.ece); }},
      {"floor", kShortWidth, [](const Report& r) { return FormatMetric(r.served, r.served.noise_floor); }},
      {"uncalibrated", kFullWidth,
       [](const Report& r) { return FormatMetric(r.uncalibrated, r.uncalibrated.ece); }},
      {"NLL", kFullWidth, [](const Report& r) { return FormatMetric(r.served, r.served.nll); }},
  };
  std::vector<TextTable::Column> headers;
  for (const Column& column : kColumns) {
    if (terminal.width < column.needs) continue;
    headers.push_back({column.header, headers.empty() ? TextTable::Align::kLeft : TextTable::Align::kRight});
  }
  TextTable table(std::move(headers));
  for (const auto& [window, report] : newest) {
    std::vector<TextTable::Cell> cells;
    for (const Column& column : kColumns) {
      if (terminal.width >= column.needs) cells.emplace_back(column.cell(report));
    }
    table.AddRow(std::move(cells));
  }
  return table.ToString(terminal);
}

int Lines(absl::string_view text) { return static_cast<int>(std::count(text.begin(), text.end(), '\n')); }

}  // namespace

std::string WatchScreen(const std::map<std::string, client::WindowReport>& newest, const Terminal& terminal) {
  const client::WindowReport* largest = nullptr;
  for (const auto& [window, report] : newest) {
    if (largest == nullptr || report.served.n > largest->served.n) largest = &report;
  }
  if (largest == nullptr) return "";
  std::string out = absl::StrCat(
      terminal.Bold(absl::StrCat(Printable(largest->model), "/", largest->model_version,
                                 largest->slice.has_value() ? " " : "", SliceText(largest->slice))),
      "  ", TimeText(largest->time), largest->catching_up ? "  catching up" : "", "\n\n",
      WindowsTable(newest, terminal), "\n");
  if (largest->alarm.has_value()) {
    const std::string line = AlarmLine(*largest->alarm);
    const bool raised = largest->alarm->state == client::AlarmInfo::State::kRaised;
    absl::StrAppend(&out, raised ? terminal.Bold(line) : line, "\n\n");
  }
  absl::StrAppend(&out, terminal.Bold(Printable(largest->window)), "\n");
  constexpr int kAroundTheBins = 4;  // headers, legend, a line left out, and the one with the cursor
  const int bins = std::max(3, terminal.height - Lines(out) - kAroundTheBins);
  return absl::StrCat(out, ReliabilityText(largest->served, terminal, bins));
}

std::string ClipLine(absl::string_view line, int width) {
  std::string out;
  int column = 0;
  bool escape = false;
  for (const char c : line) {
    if (c == '\x1b') escape = true;
    const bool starts = !escape && (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    if (starts) ++column;
    if (escape || column <= width) out.push_back(c);
    if (escape && c == 'm') escape = false;
  }
  return out;
}

std::string Redraw(absl::string_view screen, const Terminal& terminal) {
  std::string out = "\x1b[H";
  int line_number = 0;
  for (const absl::string_view line : absl::StrSplit(screen, '\n')) {
    if (++line_number >= terminal.height) break;
    absl::StrAppend(&out, ClipLine(line, terminal.width), "\x1b[K\n");
  }
  return absl::StrCat(out, "\x1b[J");
}

}  // namespace calserve::cli
