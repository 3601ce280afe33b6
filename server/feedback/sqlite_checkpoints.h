#ifndef CALSERVE_SERVER_FEEDBACK_SQLITE_CHECKPOINTS_H_
#define CALSERVE_SERVER_FEEDBACK_SQLITE_CHECKPOINTS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/feedback/sqlite.h"
#include "server/feedback/store.h"

namespace calserve {

// Checkpoints in SQLite: tables checkpoints (the heads) and checkpoint_pieces. The contracts are Store's.

// Runs its argument in a write transaction and commits it.
using RunTransaction =
    absl::FunctionRef<absl::Status(absl::FunctionRef<absl::Status(sqlite::Connection&)> work)>;

// Writes the pieces of the parts, then the head, and then deletes what the one before had: in many short
// transactions. Until the head's is committed, the one before is the checkpoint. `pause` is called between
// transactions, every few megabytes.
absl::Status ReplaceCheckpoint(const std::string& name, const Checkpoint& checkpoint,
                               absl::Span<const CheckpointPart> parts, RunTransaction transaction,
                               absl::FunctionRef<absl::Status()> pause);

absl::StatusOr<std::optional<Checkpoint>> SelectCheckpoint(sqlite::Connection& db, const std::string& name);
absl::StatusOr<std::string> SelectCheckpointPart(sqlite::Connection& db, const std::string& name,
                                                 const std::string& part, int64_t position);

}  // namespace calserve

#endif  // CALSERVE_SERVER_FEEDBACK_SQLITE_CHECKPOINTS_H_
