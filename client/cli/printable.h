#ifndef CALSERVE_CLIENT_CLI_PRINTABLE_H_
#define CALSERVE_CLIENT_CLI_PRINTABLE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace calserve::cli {

// Text from outside (the server's, a file's, a label's) such that a terminal shows it and does nothing else:
// each control character (C0, DEL, C1), line or paragraph separator and bidirectional control becomes its
// JSON escape, as \u001b, and each byte that is not UTF-8 becomes \xff. Printable of what is printable
// already is the same text.
std::string Printable(absl::string_view text);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_PRINTABLE_H_
