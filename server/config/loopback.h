#ifndef CALSERVE_SERVER_CONFIG_LOOPBACK_H_
#define CALSERVE_SERVER_CONFIG_LOOPBACK_H_

#include "absl/strings/string_view.h"

namespace calserve {

// Whether an address to listen on, HOST:PORT, is one that only this machine can reach: an address of
// 127.0.0.0/8, [::1], or localhost. Any other name may be anybody's, and counts as not.
bool IsLoopback(absl::string_view listen);

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_LOOPBACK_H_
