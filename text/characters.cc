#include "text/characters.h"

namespace calserve {

Character FirstCharacter(absl::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const uint32_t first = byte(0);
  if (first < 0x80) return {first, 1, true};
  const Character invalid{first, 1, false};
  const size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < bytes) return invalid;
  uint32_t point = first & (0xFFu >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return invalid;
    point = (point << 6) | (byte(i) & 0x3Fu);
  }
  const bool overlong = (bytes == 3 && point < 0x800) || (bytes == 4 && point < 0x10000);
  if (overlong || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return invalid;
  return {point, bytes, true};
}

size_t FirstInvalidUtf8(absl::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const Character next = FirstCharacter(text.substr(at));
    if (!next.valid) return at;
    at += next.bytes;
  }
  return absl::string_view::npos;
}

bool IsControl(uint32_t point) {
  const auto in = [point](uint32_t first, uint32_t last) { return point >= first && point <= last; };
  return point < 0x20 || in(0x7F, 0x9F) ||          // C0, DEL, C1
         point == 0x61C || in(0x200E, 0x200F) ||    // Arabic letter mark, direction marks
         in(0x2028, 0x202E) || in(0x2066, 0x2069);  // separators, embeddings, overrides, isolates
}

bool HasControlCharacter(absl::string_view text) {
  while (!text.empty()) {
    const Character next = FirstCharacter(text);
    if (next.valid && IsControl(next.point)) return true;
    text.remove_prefix(next.bytes);
  }
  return false;
}

}  // namespace calserve
