#include "client/cli/reliability_text.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/reliability_svg.h"
#include "client/cli/text_table.h"

namespace calserve::cli {
namespace {

// Terminals of fewer or of more columns than these show less or more beside the bars.
constexpr int kNarrow = 60, kWide = 100;
// What stands left of the bar.
constexpr int kNarrowColumns = 23, kFixedColumns = 44, kWideColumns = 59;
constexpr int kLeastBar = 8, kMinBar = 16, kMaxBar = 50;

struct Glyphs {
  const char* solid;
  const char* too_high;  // confidence above accuracy
  const char* too_low;
};
constexpr Glyphs kUtf8 = {"█", "░", "▒"};
constexpr Glyphs kAscii = {"#", ".", "+"};

std::string Repeat(const char* glyph, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += glyph;
  return out;
}

std::string Bar(const ReliabilityBin& bin, int width, const Glyphs& glyphs, const Terminal& terminal) {
  const auto cells = [&](double share) { return static_cast<int>(std::lround(share * width)); };
  const int accuracy = cells(bin.accuracy), confidence = cells(bin.confidence);
  const std::string solid = Repeat(glyphs.solid, std::min(accuracy, confidence));
  if (confidence >= accuracy) return solid + terminal.Red(Repeat(glyphs.too_high, confidence - accuracy));
  return solid + terminal.Green(Repeat(glyphs.too_low, accuracy - confidence));
}

// The bins that hold rows; of more than `most`, those with the most rows, in their order.
std::vector<const ReliabilityBin*> BinsToShow(const CalibrationMetrics& metrics, int most) {
  std::vector<const ReliabilityBin*> bins;
  for (const ReliabilityBin& bin : metrics.bins) {
    if (bin.count > 0) bins.push_back(&bin);
  }
  if (static_cast<int>(bins.size()) <= most) return bins;
  std::stable_sort(bins.begin(), bins.end(),
                   [](const ReliabilityBin* a, const ReliabilityBin* b) { return a->count > b->count; });
  bins.resize(static_cast<size_t>(most));
  std::sort(bins.begin(), bins.end(),
            [](const ReliabilityBin* a, const ReliabilityBin* b) { return a->lower < b->lower; });
  return bins;
}

std::string Legend(const Glyphs& glyphs, const Terminal& terminal) {
  if (terminal.width < kNarrow) {
    return absl::StrCat(terminal.Red(glyphs.too_high), " overconfident  ", terminal.Green(glyphs.too_low),
                        " too unsure\n");
  }
  return absl::StrCat(glyphs.solid, " right as often as claimed   ", terminal.Red(glyphs.too_high),
                      " confidence too high   ", terminal.Green(glyphs.too_low), " too low\n");
}

}  // namespace

std::string ReliabilityText(const CalibrationMetrics& metrics, const Terminal& terminal, int max_bins) {
  const Glyphs& glyphs = terminal.utf8 ? kUtf8 : kAscii;
  const bool narrow = terminal.width < kNarrow, wide = terminal.width >= kWide;
  const int fixed = narrow ? kNarrowColumns : wide ? kWideColumns : kFixedColumns;
  const int width = std::clamp(terminal.width - fixed, narrow ? kLeastBar : kMinBar, kMaxBar);
  std::vector<TextTable::Column> columns = {{"bin"}};
  if (!narrow) columns.push_back({"n", TextTable::Align::kRight});
  if (!narrow) columns.push_back({"confidence", TextTable::Align::kRight});
  columns.push_back({"accuracy", TextTable::Align::kRight});
  if (wide) columns.push_back({"95 % interval"});
  columns.push_back({""});
  TextTable table(std::move(columns));
  const std::vector<const ReliabilityBin*> bins = BinsToShow(metrics, max_bins);
  for (const ReliabilityBin* bin : bins) {
    std::vector<TextTable::Cell> cells = {absl::StrFormat("%.3f-%.3f", bin->lower, bin->upper)};
    if (!narrow) cells.emplace_back(absl::StrFormat("%.0f", bin->count));
    if (!narrow) cells.emplace_back(absl::StrFormat("%.3f", bin->confidence));
    cells.emplace_back(absl::StrFormat("%.3f", bin->accuracy));
    if (wide) {
      const Estimate accuracy = BinAccuracy(*bin, metrics);
      cells.emplace_back(absl::StrFormat("%.3f-%.3f", *accuracy.low, *accuracy.high));
    }
    cells.push_back(TextTable::Cell::Styled(Bar(*bin, width, glyphs, terminal)));
    table.AddRow(std::move(cells));
  }
  const auto left_out = std::count_if(metrics.bins.begin(), metrics.bins.end(),
                                      [](const ReliabilityBin& bin) { return bin.count > 0; }) -
                        static_cast<std::ptrdiff_t>(bins.size());
  const std::string note =
      left_out > 0 ? absl::StrCat(left_out, " bins of fewer rows are left out\n") : std::string();
  return absl::StrCat(table.ToString(terminal), note, Legend(glyphs, terminal));
}

}  // namespace calserve::cli
