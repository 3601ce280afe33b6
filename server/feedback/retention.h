#ifndef CALSERVE_SERVER_FEEDBACK_RETENTION_H_
#define CALSERVE_SERVER_FEEDBACK_RETENTION_H_

#include <cstdint>
#include <stop_token>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/feedback/store.h"

namespace calserve {

// INVALID_ARGUMENT unless retention >= feedback_ttl + 1 day: a ticket that is sent again must still meet its
// first use, or its label would count twice.
absl::Status CheckRetention(absl::Duration retention, absl::Duration feedback_ttl);

// Deletes the rows older than `retention`, in short transactions with pauses in which feedback is committed;
// ends after the one under way when `stop` is requested: the next call goes on. Returns how many.
absl::StatusOr<int64_t> DeleteExpired(Store& store, absl::Time now, absl::Duration retention,
                                      const std::stop_token& stop);

}  // namespace calserve

#endif  // CALSERVE_SERVER_FEEDBACK_RETENTION_H_
