#include "server/feedback/sqlite_checkpoints.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"

namespace calserve {
namespace {

using sqlite::Connection;
using sqlite::Statement;

// What is written in one transaction, and of that a row: some milliseconds, for which feedback waits.
constexpr size_t kPieceBytes = 1 << 20;
constexpr size_t kDeleteAtOnce = 4;
constexpr int64_t kTransactionsBetweenPauses = 4;

using PartKey = std::pair<std::string, int64_t>;  // name and position

// Row ids of the pieces that are stored.
absl::StatusOr<std::map<PartKey, std::vector<int64_t>>> StoredPieces(Connection& db,
                                                                     const std::string& name) {
  ASSIGN_OR_RETURN(Statement rows,
                   db.Prepare("SELECT part, position, rowid FROM checkpoint_pieces WHERE checkpoint = ?"));
  rows.Bind(1, name);
  std::map<PartKey, std::vector<int64_t>> pieces;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return pieces;
    pieces[{rows.Text(0), rows.Int(1)}].push_back(rows.Int(2));
  }
}

// Of a part's state; the first one replaces what is there of that part and position.
struct Piece {
  std::string part;
  int64_t position = 0;
  int64_t number = 0;  // from 0
  std::string bytes;
};

absl::Status Insert(Connection& db, const std::string& checkpoint, const Piece& piece) {
  if (piece.number == 0) {
    ASSIGN_OR_RETURN(
        Statement remove,
        db.Prepare("DELETE FROM checkpoint_pieces WHERE checkpoint = ? AND part = ? AND position = ?"));
    remove.Bind(1, checkpoint);
    remove.Bind(2, piece.part);
    remove.Bind(3, piece.position);
    RETURN_IF_ERROR(remove.Run());
  }
  ASSIGN_OR_RETURN(Statement insert,
                   db.Prepare("INSERT INTO checkpoint_pieces (checkpoint, part, position, piece, state)"
                              " VALUES (?, ?, ?, ?, ?)"));
  insert.Bind(1, checkpoint);
  insert.Bind(2, piece.part);
  insert.Bind(3, piece.position);
  insert.Bind(4, piece.number);
  insert.BindBlob(5, piece.bytes.data(), piece.bytes.size());
  return insert.Run();
}

// Puts the head in its place, and gives the row ids of the pieces that belong to none of the parts.
absl::Status InsertHead(Connection& db, const std::string& name, const Checkpoint& checkpoint,
                        absl::Span<const CheckpointPart> parts, std::vector<int64_t>* obsolete) {
  ASSIGN_OR_RETURN(auto pieces, StoredPieces(db, name));
  for (const CheckpointPart& part : parts) {
    if (pieces.erase({part.name, part.position}) == 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("part ", part.name, " of the checkpoint is not stored at position ", part.position));
    }
  }
  ASSIGN_OR_RETURN(Statement save,
                   db.Prepare("INSERT OR REPLACE INTO checkpoints (name, schema_version, position, state)"
                              " VALUES (?, ?, ?, ?)"));
  save.Bind(1, name);
  save.Bind(2, checkpoint.schema_version);
  save.Bind(3, checkpoint.position);
  save.BindBlob(4, checkpoint.state.data(), checkpoint.state.size());
  RETURN_IF_ERROR(save.Run());
  for (const auto& [part, rows] : pieces) obsolete->insert(obsolete->end(), rows.begin(), rows.end());
  return absl::OkStatus();
}

absl::Status Delete(Connection& db, absl::Span<const int64_t> pieces) {
  ASSIGN_OR_RETURN(Statement remove, db.Prepare("DELETE FROM checkpoint_pieces WHERE rowid = ?"));
  for (const int64_t piece : pieces) {
    remove.Bind(1, piece);
    RETURN_IF_ERROR(remove.Run());
  }
  return absl::OkStatus();
}

// Gathers pieces, and writes them as soon as they fill a transaction.
class PieceWriter {
 public:
  PieceWriter(const std::string& checkpoint, RunTransaction transaction,
              absl::FunctionRef<absl::Status()> pause)
      : checkpoint_(checkpoint), transaction_(transaction), pause_(pause) {}

  absl::Status Add(const CheckpointPart& part) {
    const std::string state = part.state();  // Other writers do not wait for it.
    int64_t number = 0;
    for (size_t begin = 0; begin == 0 || begin < state.size(); begin += kPieceBytes) {
      pieces_.push_back({part.name, part.position, number++, state.substr(begin, kPieceBytes)});
      bytes_ += pieces_.back().bytes.size();
      if (bytes_ >= kPieceBytes) RETURN_IF_ERROR(Flush());
    }
    return absl::OkStatus();
  }

  absl::Status Flush() {
    if (pieces_.empty()) return absl::OkStatus();
    RETURN_IF_ERROR(transaction_([this](Connection& db) {
      for (const Piece& piece : pieces_) RETURN_IF_ERROR(Insert(db, checkpoint_, piece));
      return absl::OkStatus();
    }));
    pieces_.clear();
    bytes_ = 0;
    return ++transactions_ % kTransactionsBetweenPauses == 0 ? pause_() : absl::OkStatus();
  }

 private:
  const std::string& checkpoint_;
  const RunTransaction transaction_;
  const absl::FunctionRef<absl::Status()> pause_;
  std::vector<Piece> pieces_;
  size_t bytes_ = 0;  // of them
  int64_t transactions_ = 0;
};

}  // namespace

absl::Status ReplaceCheckpoint(const std::string& name, const Checkpoint& checkpoint,
                               absl::Span<const CheckpointPart> parts, RunTransaction transaction,
                               absl::FunctionRef<absl::Status()> pause) {
  PieceWriter writer(name, transaction, pause);
  for (const CheckpointPart& part : parts) {
    if (part.state != nullptr) RETURN_IF_ERROR(writer.Add(part));
  }
  RETURN_IF_ERROR(writer.Flush());
  std::vector<int64_t> obsolete;
  RETURN_IF_ERROR(
      transaction([&](Connection& db) { return InsertHead(db, name, checkpoint, parts, &obsolete); }));
  // The checkpoint is in its place. What cannot be deleted now is obsolete for the next one, too.
  for (absl::Span<const int64_t> rest = obsolete; !rest.empty();) {
    const absl::Span<const int64_t> next = rest.subspan(0, kDeleteAtOnce);
    if (!transaction([&](Connection& db) { return Delete(db, next); }).ok()) break;
    rest.remove_prefix(next.size());
  }
  return absl::OkStatus();
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
                                                 const std::string& part, int64_t position) {
  ASSIGN_OR_RETURN(Statement rows,
                   db.Prepare("SELECT state FROM checkpoint_pieces WHERE checkpoint = ? AND part = ? AND"
                              " position = ? ORDER BY piece"));
  rows.Bind(1, name);
  rows.Bind(2, part);
  rows.Bind(3, position);
  std::optional<std::string> state;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) break;
    if (!state.has_value()) state.emplace();
    const absl::string_view bytes = rows.Blob(0);
    state->append(bytes.data(), bytes.size());
  }
  if (state.has_value()) return *std::move(state);
  return absl::NotFoundError(
      absl::StrCat("checkpoint ", name, " has no part ", part, " at position ", position));
}

}  // namespace calserve
