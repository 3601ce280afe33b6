#ifndef CALSERVE_SERVER_LOGGING_ESCAPE_H_
#define CALSERVE_SERVER_LOGGING_ESCAPE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace calserve {

// Where a text is put: within the quotes of JSON or of a quoted value, or bare.
enum class Quoting { kQuoted, kBare };

// Appends at most `max_bytes` of `text` so that it can neither start a line, nor steer a terminal, nor end
// its quotes: C0, DEL, C1, U+2028, U+2029 and the controls of writing direction become \u and four hex
// digits; each byte that is not UTF-8 becomes \ufffd. Within quotes also " and \ are escaped, which makes it
// JSON's string. What is left out is counted: "... (+12 bytes)". This is the one place where the log and
// the sentences of statuses are escaped.
void AppendEscaped(absl::string_view text, Quoting quoting, size_t max_bytes, std::string* out);

}  // namespace calserve

#endif  // CALSERVE_SERVER_LOGGING_ESCAPE_H_
