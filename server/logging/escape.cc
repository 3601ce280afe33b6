#include "server/logging/escape.h"

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "text/characters.h"

namespace calserve {
namespace {

bool IsContinuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

}  // namespace

void AppendEscaped(absl::string_view text, Quoting quoting, size_t max_bytes, std::string* out) {
  size_t end = text.size();
  if (end > max_bytes) {
    end = max_bytes;
    while (end > 0 && IsContinuation(text[end])) --end;
  }
  for (absl::string_view rest = text.substr(0, end); !rest.empty();) {
    const Character next = FirstCharacter(rest);
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
