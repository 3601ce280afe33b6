#ifndef CALSERVE_TEXT_CHARACTERS_H_
#define CALSERVE_TEXT_CHARACTERS_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace calserve {

// One character of UTF-8 (RFC 3629: no overlong form, no surrogate, nothing beyond U+10FFFF).
struct Character {
  uint32_t point = 0;  // its code point; of what is not UTF-8: the byte
  size_t bytes = 1;    // that it takes; of what is not UTF-8: 1
  bool valid = false;
};

// Of a text that is not empty.
Character FirstCharacter(absl::string_view text);

// Where the first byte is that is not UTF-8; npos of a text that is all of it. Protobuf's strings must be.
size_t FirstInvalidUtf8(absl::string_view text);

// Whether a character is not shown but obeyed where it is shown: C0, DEL, C1, line and paragraph separators,
// controls of writing direction.
bool IsControl(uint32_t point);

// Whether a text has one. What is not UTF-8 is none.
bool HasControlCharacter(absl::string_view text);

}  // namespace calserve

#endif  // CALSERVE_TEXT_CHARACTERS_H_
