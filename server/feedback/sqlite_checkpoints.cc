#include "server/feedback/sqlite_checkpoints.h"

#include <cstdint>
#include <map>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"

namespace calserve {
namespace {

using sqlite::Connection;
using sqlite::Statement;

// Names and positions of the parts that are stored.
absl::StatusOr<std::map<std::string, int64_t>> StoredParts(Connection& db, const std::string& name) {
  ASSIGN_OR_RETURN(Statement rows,
                   db.Prepare("SELECT part, position FROM checkpoint_parts WHERE checkpoint = ?"));
  rows.Bind(1, name);
  std::map<std::string, int64_t> parts;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return parts;
    parts.emplace(rows.Text(0), rows.Int(1));
  }
}

absl::Status CheckThere(const CheckpointPart& part, const std::map<std::string, int64_t>& stored) {
  const auto found = stored.find(part.name);
  if (found != stored.end() && found->second == part.position) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("part ", part.name, " of the checkpoint is not stored at position ", part.position));
}

}  // namespace

absl::Status ReplaceCheckpoint(Connection& db, const std::string& name, const Checkpoint& checkpoint,
                               absl::Span<const CheckpointPart> parts) {
  ASSIGN_OR_RETURN(auto obsolete, StoredParts(db, name));
  for (const CheckpointPart& part : parts) {
    if (part.state == nullptr) RETURN_IF_ERROR(CheckThere(part, obsolete));
  }
  ASSIGN_OR_RETURN(Statement save_part,
                   db.Prepare("INSERT OR REPLACE INTO checkpoint_parts (checkpoint, part, position, state)"
                              " VALUES (?, ?, ?, ?)"));
  save_part.Bind(1, name);
  for (const CheckpointPart& part : parts) {
    obsolete.erase(part.name);
    if (part.state == nullptr) continue;
    const std::string state = part.state();
    save_part.Bind(2, part.name);
    save_part.Bind(3, part.position);
    save_part.BindBlob(4, state.data(), state.size());
    RETURN_IF_ERROR(save_part.Run());
  }
  ASSIGN_OR_RETURN(Statement remove,
                   db.Prepare("DELETE FROM checkpoint_parts WHERE checkpoint = ? AND part = ?"));
  remove.Bind(1, name);
  for (const auto& [part, position] : obsolete) {
    remove.Bind(2, part);
    RETURN_IF_ERROR(remove.Run());
  }
  ASSIGN_OR_RETURN(Statement save,
                   db.Prepare("INSERT OR REPLACE INTO checkpoints (name, schema_version, position, state)"
                              " VALUES (?, ?, ?, ?)"));
  save.Bind(1, name);
  save.Bind(2, checkpoint.schema_version);
  save.Bind(3, checkpoint.position);
  save.BindBlob(4, checkpoint.state.data(), checkpoint.state.size());
  return save.Run();
}

absl::StatusOr<std::optional<Checkpoint>> SelectCheckpoint(Connection& db, const std::string& name) {
  ASSIGN_OR_RETURN(Statement row,
                   db.Prepare("SELECT schema_version, position, state FROM checkpoints WHERE name = ?"));
  row.Bind(1, name);
  ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return std::optional<Checkpoint>();
  return std::optional<Checkpoint>({static_cast<int32_t>(row.Int(0)), row.Int(1), row.Text(2)});
}

absl::StatusOr<std::string> SelectCheckpointPart(Connection& db, const std::string& name,
                                                 const std::string& part) {
  ASSIGN_OR_RETURN(Statement row,
                   db.Prepare("SELECT state FROM checkpoint_parts WHERE checkpoint = ? AND part = ?"));
  row.Bind(1, name);
  row.Bind(2, part);
  ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return absl::NotFoundError(absl::StrCat("checkpoint ", name, " has no part ", part));
  return row.Text(0);
}

}  // namespace calserve
