#include "client/cli/printable.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace calserve::cli {
namespace {

// Takes the first code point off a text that is not empty. -1, and one byte, where it is not UTF-8.
int32_t TakeCodePoint(absl::string_view* text) {
  const auto byte = [text](size_t i) { return static_cast<unsigned char>((*text)[i]); };
  const unsigned char lead = byte(0);
  const size_t length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  int32_t point = length == 1 ? lead : lead & (0x7f >> length);
  bool valid = (lead < 0x80 || lead >= 0xc2) && lead < 0xf5 && length <= text->size();
  for (size_t i = 1; valid && i < length; ++i) {
    valid = (byte(i) & 0xc0) == 0x80;
    point = point << 6 | (byte(i) & 0x3f);
  }
  text->remove_prefix(valid ? length : 1);
  return valid ? point : -1;
}

bool Commands(int32_t point) {
  const auto in = [point](int32_t first, int32_t last) { return point >= first && point <= last; };
  return in(0, 0x1f) || in(0x7f, 0x9f) || point == 0x61c || in(0x200e, 0x200f) || in(0x2028, 0x202e) ||
         in(0x2066, 0x2069);
}

}  // namespace

std::string Printable(absl::string_view text) {
  std::string out;
  while (!text.empty()) {
    const absl::string_view before = text;
    const int32_t point = TakeCodePoint(&text);
    if (point < 0) {
      absl::StrAppendFormat(&out, "\\x%02x", static_cast<unsigned char>(before[0]));
    } else if (Commands(point)) {
      absl::StrAppendFormat(&out, "\\u%04x", point);
    } else {
      absl::StrAppend(&out, before.substr(0, before.size() - text.size()));
    }
  }
  return out;
}

}  // namespace calserve::cli
