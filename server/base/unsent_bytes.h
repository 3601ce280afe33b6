#ifndef CALSERVE_SERVER_BASE_UNSENT_BYTES_H_
#define CALSERVE_SERVER_BASE_UNSENT_BYTES_H_

#include <cstdint>

#include "absl/status/status.h"

namespace calserve {

// Memory of answers that are written and not sent: a client that does not read leaves them where they are for
// as long as it lives. All of this process together; thread-safe.

// What they may take together. 512 MiB until it is called.
void LimitUnsentBytes(int64_t limit);

// Takes `bytes` of it, to be given back with GiveUnsentBytes. RESOURCE_EXHAUSTED with the reason
// ANSWERS_UNSENT where that many are not left.
absl::Status TakeUnsentBytes(int64_t bytes);
void GiveUnsentBytes(int64_t bytes);

// What is taken now.
int64_t UnsentBytes();

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_UNSENT_BYTES_H_
