#include <algorithm>
#include <cstdint>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "calibration/window_label.h"

namespace calserve {
namespace {

constexpr int64_t kMicrosPerSecond = 1'000'000;
constexpr int64_t kMaxMicros = int64_t{36'500} * 86'400 * kMicrosPerSecond;  // a century

// A whole number >= 1, without sign or leading zero, so that each window has one name.
std::optional<int64_t> ParsePositive(absl::string_view text) {
  int64_t value = 0;
  if (text.empty() || text[0] == '0' || !std::all_of(text.begin(), text.end(), absl::ascii_isdigit)) {
    return std::nullopt;
  }
  if (!absl::SimpleAtoi(text, &value)) return std::nullopt;
  return value;
}

// "90s", "15m", "1h", "7d".
std::optional<int64_t> ParseMicros(absl::string_view text) {
  if (text.empty()) return std::nullopt;
  int64_t seconds = 0;
  switch (text.back()) {
    case 's':
      seconds = 1;
      break;
    case 'm':
      seconds = 60;
      break;
    case 'h':
      seconds = 3600;
      break;
    case 'd':
      seconds = 86'400;
      break;
    default:
      return std::nullopt;
  }
  const std::optional<int64_t> count = ParsePositive(text.substr(0, text.size() - 1));
  const int64_t unit = seconds * kMicrosPerSecond;
  if (!count.has_value() || *count > kMaxMicros / unit) return std::nullopt;
  return *count * unit;
}

}  // namespace

absl::StatusOr<WindowSpec> WindowSpec::Parse(absl::string_view name) {
  WindowSpec spec;
  spec.name = std::string(name);
  absl::string_view length = name;
  const bool decay = absl::ConsumePrefix(&length, "decay_");
  if (decay || absl::ConsumePrefix(&length, "last_")) {
    if (const std::optional<int64_t> micros = ParseMicros(length)) {
      spec.kind = decay ? Kind::kDecay : Kind::kLastDuration;
      spec.micros = *micros;
      return spec;
    }
    if (const std::optional<int64_t> count = ParsePositive(length); count.has_value() && !decay) {
      spec.kind = Kind::kLastCount;
      spec.count = *count;
      return spec;
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "a window must be named as last_1000, last_90s, last_15m, last_1h, last_7d or decay_1h; was \"", name,
      "\""));
}

}  // namespace calserve
