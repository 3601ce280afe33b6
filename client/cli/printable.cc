#include "client/cli/printable.h"

#include "absl/strings/str_format.h"
#include "text/characters.h"

namespace calserve::cli {

std::string Printable(absl::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Character next = FirstCharacter(text);
    if (!next.valid) {
      absl::StrAppendFormat(&out, "\\x%02x", next.point);
    } else if (IsControl(next.point)) {
      absl::StrAppendFormat(&out, "\\u%04x", next.point);
    } else {
      out.append(text.data(), next.bytes);
    }
    text.remove_prefix(next.bytes);
  }
  return out;
}

}  // namespace calserve::cli
