#ifndef CALSERVE_SERVER_FEEDBACK_SQLITE_ACKNOWLEDGEMENTS_H_
#define CALSERVE_SERVER_FEEDBACK_SQLITE_ACKNOWLEDGEMENTS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/feedback/sqlite.h"
#include "server/feedback/store.h"

namespace calserve {

// Acknowledgements of alarms in SQLite: the table of that name. The contracts are Store's.

// Within a write transaction.
absl::Status InsertAcknowledgement(sqlite::Connection& db, const Acknowledgement& acknowledgement);
absl::StatusOr<std::vector<Acknowledgement>> SelectAcknowledgements(sqlite::Connection& db, int64_t position);

}  // namespace calserve

#endif  // CALSERVE_SERVER_FEEDBACK_SQLITE_ACKNOWLEDGEMENTS_H_
