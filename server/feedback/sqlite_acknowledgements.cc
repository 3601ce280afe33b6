#include "server/feedback/sqlite_acknowledgements.h"

#include "server/base/status_macros.h"

namespace calserve {

using sqlite::Statement;

absl::Status InsertAcknowledgement(sqlite::Connection& db, const Acknowledgement& acknowledgement) {
  ASSIGN_OR_RETURN(
      Statement insert,
      db.Prepare("INSERT OR IGNORE INTO acknowledgements"
                 " (model, model_version, calibrator_version, position, time) VALUES (?, ?, ?, ?, ?)"));
  insert.Bind(1, acknowledgement.model);
  insert.Bind(2, acknowledgement.model_version);
  insert.Bind(3, acknowledgement.calibrator_version);
  insert.Bind(4, acknowledgement.position);
  insert.Bind(5, absl::ToUnixMicros(acknowledgement.time));
  return insert.Run();
}

absl::StatusOr<std::vector<Acknowledgement>> SelectAcknowledgements(sqlite::Connection& db,
                                                                    int64_t position) {
  ASSIGN_OR_RETURN(Statement rows,
                   db.Prepare("SELECT model, model_version, calibrator_version, position, time"
                              " FROM acknowledgements WHERE position >= ?"
                              " ORDER BY position, model, model_version, calibrator_version"));
  rows.Bind(1, position);
  std::vector<Acknowledgement> acknowledgements;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return acknowledgements;
    acknowledgements.push_back(
        {rows.Text(0), rows.Int(1), rows.Int(2), rows.Int(3), absl::FromUnixMicros(rows.Int(4))});
  }
}

}  // namespace calserve
