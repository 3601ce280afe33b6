#include "server/logging/trace_context.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"

namespace calserve {
namespace {

constexpr size_t kSize = 55;  // of version 00
constexpr size_t kMaxState = 512, kMaxMembers = 32, kMaxKey = 256, kMaxTenant = 241, kMaxSystem = 14,
                 kMaxValue = 256;

bool IsHex(absl::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsZero(absl::string_view id) {
  return std::all_of(id.begin(), id.end(), [](char c) { return c == '0'; });
}

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool IsKeyPart(absl::string_view part, size_t max_size, bool may_begin_with_digit) {
  return !part.empty() && part.size() <= max_size &&
         (IsLower(part[0]) || (may_begin_with_digit && IsDigit(part[0]))) &&
         std::all_of(part.begin(), part.end(), [](char c) {
           return IsLower(c) || IsDigit(c) || c == '_' || c == '-' || c == '*' || c == '/';
         });
}

bool IsKey(absl::string_view key) {
  const size_t at = key.find('@');
  if (at == absl::string_view::npos) return IsKeyPart(key, kMaxKey, false);
  return IsKeyPart(key.substr(0, at), kMaxTenant, true) && IsKeyPart(key.substr(at + 1), kMaxSystem, false);
}

bool IsValue(absl::string_view value) {
  return !value.empty() && value.size() <= kMaxValue && value.back() != ' ' &&
         std::all_of(value.begin(), value.end(),
                     [](char c) { return c >= 0x20 && c <= 0x7E && c != ',' && c != '='; });
}

}  // namespace

std::optional<TraceParent> ParseTraceParent(absl::string_view header) {
  if (header.size() < kSize) return std::nullopt;
  const absl::string_view version = header.substr(0, 2), trace_id = header.substr(3, 32),
                          parent_id = header.substr(36, 16), flags = header.substr(53, 2);
  if (header[2] != '-' || header[35] != '-' || header[52] != '-') return std::nullopt;
  if (!IsHex(version) || !IsHex(trace_id) || !IsHex(parent_id) || !IsHex(flags)) return std::nullopt;
  if (version == "ff" || IsZero(trace_id) || IsZero(parent_id)) return std::nullopt;
  if (header.size() > kSize && (version == "00" || header[kSize] != '-')) return std::nullopt;
  // The lowest bit of the last digit.
  const bool sampled = ((IsDigit(flags[1]) ? flags[1] - '0' : flags[1] - 'a' + 10) & 1) != 0;
  return TraceParent{trace_id, parent_id, sampled};
}

bool IsTraceState(absl::string_view header) {
  if (header.size() > kMaxState) return false;
  std::vector<absl::string_view> keys;
  for (absl::string_view member : absl::StrSplit(header, ',')) {
    while (!member.empty() && (member.front() == ' ' || member.front() == '\t')) member.remove_prefix(1);
    while (!member.empty() && (member.back() == ' ' || member.back() == '\t')) member.remove_suffix(1);
    if (member.empty()) continue;  // Allowed between two commas.
    const size_t equals = member.find('=');
    if (equals == absl::string_view::npos) return false;
    const absl::string_view key = member.substr(0, equals);
    if (!IsKey(key) || !IsValue(member.substr(equals + 1))) return false;
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) return false;
    keys.push_back(key);
  }
  return !keys.empty() && keys.size() <= kMaxMembers;
}

}  // namespace calserve
