#include "server/base/control_characters.h"

#include <algorithm>

#include "absl/strings/match.h"

namespace calserve {

bool HasControlCharacter(absl::string_view text) {
  const auto is_byte = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::any_of(text.begin(), text.end(), is_byte)) return true;
  const auto after = [text](absl::string_view lead, char first, char last) {
    for (size_t at = text.find(lead); at != text.npos; at = text.find(lead, at + 1)) {
      const size_t next = at + lead.size();
      if (next < text.size() && text[next] >= first && text[next] <= last) return true;
    }
    return false;
  };
  return after("\xc2", '\x80', '\x9f') ||      // C1
         after("\xd8", '\x9c', '\x9c') ||      // Arabic letter mark
         after("\xe2\x80", '\x8e', '\x8f') ||  // left-to-right and right-to-left mark
         after("\xe2\x80", '\xa8', '\xae') ||  // separators, embeddings, overrides
         after("\xe2\x81", '\xa6', '\xa9');    // isolates
}

}  // namespace calserve
