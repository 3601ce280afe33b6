#ifndef CALSERVE_SERVER_FEEDBACK_SQLITE_CHECKPOINTS_H_
#define CALSERVE_SERVER_FEEDBACK_SQLITE_CHECKPOINTS_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/feedback/sqlite.h"
#include "server/feedback/store.h"

namespace calserve {

// Checkpoints in SQLite: tables checkpoints (the heads) and checkpoint_parts. The contracts are Store's.

// Within a write transaction.
absl::Status ReplaceCheckpoint(sqlite::Connection& db, const std::string& name, const Checkpoint& checkpoint,
                               absl::Span<const CheckpointPart> parts);
absl::StatusOr<std::optional<Checkpoint>> SelectCheckpoint(sqlite::Connection& db, const std::string& name);
absl::StatusOr<std::string> SelectCheckpointPart(sqlite::Connection& db, const std::string& name,
                                                 const std::string& part);

}  // namespace calserve

#endif  // CALSERVE_SERVER_FEEDBACK_SQLITE_CHECKPOINTS_H_
