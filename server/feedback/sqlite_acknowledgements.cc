#include "server/feedback/sqlite_acknowledgements.h"

#include "server/base/status_macros.h"

namespace calserve {

using sqlite::Statement;

absl::Status InsertAcknowledgement(sqlite::Connection& db, const Acknowledgement& acknowledgement) {
  const bool whole = acknowledgement.slice_key.empty();
  ASSIGN_OR_RETURN(
      Statement insert,
      db.Prepare(whole ? "INSERT OR IGNORE INTO acknowledgements"
                         " (model, model_version, calibrator_version, position, time) VALUES (?, ?, ?, ?, ?)"
                       : "INSERT OR IGNORE INTO slice_acknowledgements"
                         " (model, model_version, calibrator_version, position, time, slice_key, slice_value)"
                         " VALUES (?, ?, ?, ?, ?, ?, ?)"));
  insert.Bind(1, acknowledgement.model);
  insert.Bind(2, acknowledgement.model_version);
  insert.Bind(3, acknowledgement.calibrator_version);
  insert.Bind(4, acknowledgement.position);
  insert.Bind(5, absl::ToUnixMicros(acknowledgement.time));
  if (!whole) {
    insert.Bind(6, acknowledgement.slice_key);
    insert.Bind(7, acknowledgement.slice_value);
  }
  return insert.Run();
}

absl::StatusOr<std::vector<Acknowledgement>> SelectAcknowledgements(sqlite::Connection& db,
                                                                    int64_t position) {
  ASSIGN_OR_RETURN(Statement rows,
                   db.Prepare("SELECT model, model_version, calibrator_version, position, time,"
                              " '' AS slice_key, '' AS slice_value"
                              " FROM acknowledgements WHERE position >= ?1 UNION ALL"
                              " SELECT model, model_version, calibrator_version, position, time, slice_key,"
                              " slice_value FROM slice_acknowledgements WHERE position >= ?1"
                              " ORDER BY position, model, model_version, calibrator_version, slice_key,"
                              " slice_value"));
  rows.Bind(1, position);
  std::vector<Acknowledgement> acknowledgements;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return acknowledgements;
    acknowledgements.push_back({rows.Text(0), rows.Int(1), rows.Int(2), rows.Int(3),
                                absl::FromUnixMicros(rows.Int(4)), rows.Text(5), rows.Text(6)});
  }
}

}  // namespace calserve
