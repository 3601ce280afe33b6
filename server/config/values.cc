#include "server/config/values.h"

#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace calserve {
namespace {

constexpr absl::Duration kDay = absl::Hours(24);

// Largest first.
constexpr std::pair<absl::string_view, int64_t> kByteUnits[] = {
    {"GiB", int64_t{1} << 30}, {"MiB", int64_t{1} << 20}, {"KiB", int64_t{1} << 10}, {"B", 1}};

}  // namespace

std::optional<int64_t> CountFromText(absl::string_view text) {
  int64_t count = 0;
  // SimpleAtoi also takes spaces around the number, and a plus sign.
  if (text.empty() || !(absl::ascii_isdigit(text[0]) || text[0] == '-') ||
      !absl::ascii_isdigit(text.back()) || !absl::SimpleAtoi(text, &count)) {
    return std::nullopt;
  }
  return count;
}

std::optional<absl::Duration> DurationFromText(absl::string_view text) {
  if (text.empty() || !absl::ascii_isdigit(text[0])) return std::nullopt;  // "-1s", "inf"
  absl::string_view days = text;
  if (absl::ConsumeSuffix(&days, "d")) {
    const std::optional<int64_t> count = CountFromText(days);
    if (!count || *count > 1'000'000) return std::nullopt;
    return *count * kDay;
  }
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration)) return std::nullopt;
  return duration;
}

std::string DurationToText(absl::Duration duration) {
  if (duration != absl::ZeroDuration() && duration % kDay == absl::ZeroDuration()) {
    return absl::StrCat(duration / kDay, "d");
  }
  return absl::FormatDuration(duration);
}

std::optional<int64_t> BytesFromText(absl::string_view text) {
  int64_t unit = 1;
  for (const auto& [suffix, bytes] : kByteUnits) {
    if (absl::ConsumeSuffix(&text, suffix)) {
      unit = bytes;
      break;
    }
  }
  const std::optional<int64_t> count = CountFromText(text);
  if (!count || *count < 0 || *count > std::numeric_limits<int64_t>::max() / unit) return std::nullopt;
  return *count * unit;
}

std::string BytesToText(int64_t bytes) {
  for (const auto& [suffix, unit] : kByteUnits) {
    if (bytes != 0 && bytes % unit == 0) return absl::StrCat(bytes / unit, suffix);
  }
  return "0B";
}

}  // namespace calserve
