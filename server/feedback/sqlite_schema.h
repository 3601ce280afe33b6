#ifndef CALSERVE_SERVER_FEEDBACK_SQLITE_SCHEMA_H_
#define CALSERVE_SERVER_FEEDBACK_SQLITE_SCHEMA_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/feedback/sqlite.h"

namespace calserve {

// Opens the writing connection: WAL, every commit synced. The file must exist, it may be empty.
absl::StatusOr<sqlite::Connection> OpenWriter(const std::string& path, absl::Duration busy_timeout);

// Opens a connection that only reads, and neither waits for the writer nor makes it wait.
absl::StatusOr<sqlite::Connection> OpenReader(const std::string& path, absl::Duration busy_timeout);

// Makes the tables in an empty database, or checks that they are ours and of a version that we know, bringing
// those of an older one up to date; and proves by a small durable write that the database can be written.
// FAILED_PRECONDITION for a database of another program or of a newer calserve.
absl::Status PrepareSchema(sqlite::Connection& db);

// The deployment id that was made with the tables.
absl::StatusOr<std::string> ReadDeploymentId(sqlite::Connection& db);

}  // namespace calserve

#endif  // CALSERVE_SERVER_FEEDBACK_SQLITE_SCHEMA_H_
