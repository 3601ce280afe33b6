#include "server/logging/escape.h"

#include <cstddef>
#include <cstdint>

#include "absl/strings/str_cat.h"

namespace calserve {
namespace {

struct Decoded {
  uint32_t point = 0;
  size_t bytes = 1;
  bool valid = false;
};

bool IsContinuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// The first character, by RFC 3629: no overlong form, no surrogate, nothing beyond U+10FFFF.
Decoded Decode(absl::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return {first, 1, true};
  const size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < bytes) return {};
  uint32_t point = first & (0xFFu >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    if (!IsContinuation(text[i])) return {};
    point = (point << 6) | (static_cast<unsigned char>(text[i]) & 0x3Fu);
  }
  const bool overlong = (bytes == 3 && point < 0x800) || (bytes == 4 && point < 0x10000);
  if (overlong || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return {};
  return {point, bytes, true};
}

bool IsControl(uint32_t point) {
  return point < 0x20 || (point >= 0x7F && point < 0xA0) ||  // C0, DEL, C1
         point == 0x2028 || point == 0x2029 ||               // line and paragraph separator
         point == 0x200E || point == 0x200F || point == 0x061C || (point >= 0x202A && point <= 0x202E) ||
         (point >= 0x2066 && point <= 0x2069);  // direction
}

}  // namespace

void AppendEscaped(absl::string_view text, Quoting quoting, size_t max_bytes, std::string* out) {
  size_t end = text.size();
  if (end > max_bytes) {
    end = max_bytes;
    while (end > 0 && IsContinuation(text[end])) --end;
  }
  for (absl::string_view rest = text.substr(0, end); !rest.empty();) {
    const Decoded next = Decode(rest);
    if (!next.valid) {
      out->append("\\ufffd");
    } else if (IsControl(next.point)) {
      absl::StrAppend(out, "\\u", absl::Hex(next.point, absl::kZeroPad4));
    } else {
      if (quoting == Quoting::kQuoted && (next.point == '"' || next.point == '\\')) out->push_back('\\');
      out->append(rest.data(), next.bytes);
    }
    rest.remove_prefix(next.bytes);
  }
  if (end < text.size()) absl::StrAppend(out, "... (+", text.size() - end, " bytes)");
}

}  // namespace calserve
