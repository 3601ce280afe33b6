#ifndef CALSERVE_TEXT_LOOPBACK_H_
#define CALSERVE_TEXT_LOOPBACK_H_

#include "absl/strings/string_view.h"

namespace calserve {

// Whether an address HOST:PORT, to listen on or to call, is of this machine alone: an address of 127.0.0.0/8,
// [::1], or localhost. Any other name may be anybody's, and counts as not.
bool IsLoopback(absl::string_view address);

}  // namespace calserve

#endif  // CALSERVE_TEXT_LOOPBACK_H_
