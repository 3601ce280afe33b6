#ifndef CALSERVE_SERVER_BASE_CONTROL_CHARACTERS_H_
#define CALSERVE_SERVER_BASE_CONTROL_CHARACTERS_H_

#include "absl/strings/string_view.h"

namespace calserve {

// Whether UTF-8 text has a character that would not be shown but obeyed where it is shown: C0, DEL, C1, line
// and paragraph separators, bidirectional controls.
bool HasControlCharacter(absl::string_view text);

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_CONTROL_CHARACTERS_H_
