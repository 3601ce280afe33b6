#ifndef CALSERVE_SERVER_FEEDBACK_SQLITE_REFITS_H_
#define CALSERVE_SERVER_FEEDBACK_SQLITE_REFITS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/feedback/sqlite.h"
#include "server/feedback/store.h"

namespace calserve {

// Attempts at a refit in SQLite: table refits. The contracts are Store's; what writes is called within a
// write transaction.
absl::Status ReplaceRefitAttempt(sqlite::Connection& db, const RefitAttempt& attempt);
absl::StatusOr<std::vector<RefitAttempt>> SelectRefitAttempts(sqlite::Connection& db,
                                                              const std::string& model, int64_t model_version,
                                                              std::optional<int64_t> incumbent,
                                                              int64_t limit);

}  // namespace calserve

#endif  // CALSERVE_SERVER_FEEDBACK_SQLITE_REFITS_H_
