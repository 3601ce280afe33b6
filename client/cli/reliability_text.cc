#include "client/cli/reliability_text.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/text_table.h"

namespace calserve::cli {
namespace {

constexpr int kFixedColumns = 44;  // what stands left of the bar
constexpr int kMinBar = 16, kMaxBar = 50;

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

}  // namespace

std::string ReliabilityText(const CalibrationMetrics& metrics, const Terminal& terminal) {
  const Glyphs& glyphs = terminal.utf8 ? kUtf8 : kAscii;
  const int width = std::clamp(terminal.width - kFixedColumns, kMinBar, kMaxBar);
  TextTable table({{"bin"},
                   {"n", TextTable::Align::kRight},
                   {"confidence", TextTable::Align::kRight},
                   {"accuracy", TextTable::Align::kRight},
                   {""}});
  for (const ReliabilityBin& bin : metrics.bins) {
    if (bin.count <= 0) continue;
    table.AddRow({absl::StrFormat("%.3f-%.3f", bin.lower, bin.upper), absl::StrFormat("%.0f", bin.count),
                  absl::StrFormat("%.3f", bin.confidence), absl::StrFormat("%.3f", bin.accuracy),
                  Bar(bin, width, glyphs, terminal)});
  }
  return absl::StrCat(table.ToString(terminal), glyphs.solid, " right as often as claimed   ",
                      terminal.Red(glyphs.too_high), " confidence too high   ",
                      terminal.Green(glyphs.too_low), " too low\n");
}

}  // namespace calserve::cli
