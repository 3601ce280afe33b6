#include "server/feedback/sqlite_calibrators.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"

namespace calserve {
namespace {

using sqlite::Connection;
using sqlite::Statement;

constexpr char kSelect[] =
    "SELECT model, model_version, version, digest, content, origin, state, created, activated, fit_position, "
    "note FROM calibrators";

CalibratorState StateOf(absl::string_view text) {
  if (text == "ACTIVE") return CalibratorState::kActive;
  return text == "RETIRED" ? CalibratorState::kRetired : CalibratorState::kFitted;
}

StoredCalibrator ReadRow(const Statement& row) {
  StoredCalibrator calibrator;
  calibrator.model = row.Text(0);
  calibrator.model_version = row.Int(1);
  calibrator.version = row.Int(2);
  calibrator.digest = row.Text(3);
  calibrator.content = row.Text(4);
  calibrator.origin = row.Text(5);
  calibrator.state = StateOf(row.Blob(6));
  calibrator.created = absl::FromUnixMicros(row.Int(7));
  if (!row.IsNull(8)) calibrator.activated = absl::FromUnixMicros(row.Int(8));
  calibrator.fit_position = row.Int(9);
  calibrator.note = row.Text(10);
  return calibrator;
}

absl::Status CheckBelongs(Connection& db, const std::string& model, int64_t model_version, int64_t version) {
  ASSIGN_OR_RETURN(Statement row,
                   db.Prepare("SELECT model_version FROM calibrators WHERE model = ? AND version = ?"));
  row.Bind(1, model);
  row.Bind(2, version);
  ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found)
    return absl::NotFoundError(absl::StrCat("model ", model, " has no calibrator version ", version));
  if (row.Int(0) == model_version) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("calibrator version ", version, " of model ", model,
                                          " is for model version ", row.Int(0), ", not ", model_version));
}

absl::Status SetState(Connection& db, const std::string& model, int64_t version, absl::string_view state,
                      std::optional<absl::Time> activated) {
  ASSIGN_OR_RETURN(Statement update,
                   db.Prepare("UPDATE calibrators SET state = ?3, activated = coalesce(?4, activated)"
                              " WHERE model = ?1 AND version = ?2"));
  update.Bind(1, model);
  update.Bind(2, version);
  update.Bind(3, state);
  if (activated) update.Bind(4, absl::ToUnixMicros(*activated));
  return update.Run();
}

absl::Status SetFitPosition(Connection& db, const StoredCalibrator& calibrator) {
  ASSIGN_OR_RETURN(Statement update,
                   db.Prepare("UPDATE calibrators SET fit_position = ? WHERE model = ? AND version = ?"));
  update.Bind(1, calibrator.fit_position);
  update.Bind(2, calibrator.model);
  update.Bind(3, calibrator.version);
  return update.Run();
}

}  // namespace

absl::StatusOr<StoredCalibrator> InsertCalibrator(Connection& db, StoredCalibrator calibrator) {
  ASSIGN_OR_RETURN(Statement known, db.Prepare(absl::StrCat(
                                        kSelect, " WHERE model = ? AND model_version = ? AND digest = ?")));
  known.Bind(1, calibrator.model);
  known.Bind(2, calibrator.model_version);
  known.Bind(3, calibrator.digest);
  ASSIGN_OR_RETURN(const bool found, known.Step());
  if (found) {
    StoredCalibrator there = ReadRow(known);
    if (calibrator.fit_position > there.fit_position) {
      there.fit_position = calibrator.fit_position;
      RETURN_IF_ERROR(SetFitPosition(db, there));
    }
    return there;
  }

  ASSIGN_OR_RETURN(
      Statement insert,
      db.Prepare(
          "INSERT INTO calibrators (model, model_version, version, digest, content, origin, state, created,"
          " fit_position, note)"
          " VALUES (?1, ?2, (SELECT coalesce(max(version), 0) + 1 FROM calibrators WHERE model = ?1),"
          " ?3, ?4, ?5, 'FITTED', ?6, ?7, ?8) RETURNING version"));
  insert.Bind(1, calibrator.model);
  insert.Bind(2, calibrator.model_version);
  insert.Bind(3, calibrator.digest);
  insert.Bind(4, calibrator.content);
  insert.Bind(5, calibrator.origin);
  insert.Bind(6, absl::ToUnixMicros(calibrator.created));
  insert.Bind(7, calibrator.fit_position);
  insert.Bind(8, calibrator.note);
  RETURN_IF_ERROR(insert.Step().status());
  calibrator.version = insert.Int(0);
  calibrator.state = CalibratorState::kFitted;
  calibrator.created = absl::FromUnixMicros(absl::ToUnixMicros(calibrator.created));
  calibrator.activated.reset();
  return calibrator;
}

absl::StatusOr<std::vector<StoredCalibrator>> SelectCalibrators(Connection& db, const std::string& model) {
  ASSIGN_OR_RETURN(Statement row,
                   db.Prepare(absl::StrCat(kSelect, " WHERE model = ? ORDER BY version DESC")));
  row.Bind(1, model);
  std::vector<StoredCalibrator> calibrators;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, row.Step());
    if (!more) return calibrators;
    calibrators.push_back(ReadRow(row));
  }
}

absl::Status SetActiveCalibrator(Connection& db, const std::string& model, int64_t model_version,
                                 int64_t version, int64_t expected_active, absl::Time now) {
  if (version != 0) RETURN_IF_ERROR(CheckBelongs(db, model, model_version, version));
  ASSIGN_OR_RETURN(const std::optional<CalibratorActivation> last,
                   SelectLastActivation(db, model, model_version));
  const int64_t active = last ? last->version : 0;
  if (active != expected_active) {
    return absl::AbortedError(absl::StrCat("calibrator version ", active, " is active for model ", model,
                                           " version ", model_version, ", not ", expected_active,
                                           "; look at it, then say again what to replace"));
  }
  if (version == active) return absl::OkStatus();
  if (active != 0) RETURN_IF_ERROR(SetState(db, model, active, "RETIRED", std::nullopt));
  if (version != 0) RETURN_IF_ERROR(SetState(db, model, version, "ACTIVE", now));
  ASSIGN_OR_RETURN(
      Statement insert,
      db.Prepare("INSERT INTO activations (model, model_version, version, previous, time, position)"
                 " VALUES (?, ?, ?, ?, ?, (SELECT next_position - 1 FROM log_head))"));
  insert.Bind(1, model);
  insert.Bind(2, model_version);
  insert.Bind(3, version);
  insert.Bind(4, active);
  insert.Bind(5, absl::ToUnixMicros(now));
  return insert.Run();
}

absl::StatusOr<std::optional<CalibratorActivation>> SelectLastActivation(Connection& db,
                                                                         const std::string& model,
                                                                         int64_t model_version) {
  ASSIGN_OR_RETURN(Statement row,
                   db.Prepare("SELECT version, previous, position, time FROM activations"
                              " WHERE model = ? AND model_version = ? ORDER BY id DESC LIMIT 1"));
  row.Bind(1, model);
  row.Bind(2, model_version);
  ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return std::optional<CalibratorActivation>();
  return std::optional<CalibratorActivation>(
      {row.Int(0), row.Int(1), row.Int(2), absl::FromUnixMicros(row.Int(3))});
}

absl::StatusOr<int64_t> SelectPreviousActive(Connection& db, const std::string& model,
                                             int64_t model_version) {
  ASSIGN_OR_RETURN(const std::optional<CalibratorActivation> last,
                   SelectLastActivation(db, model, model_version));
  if (last) return last->previous;
  return absl::FailedPreconditionError(absl::StrCat("no calibrator was ever activated for model ", model,
                                                    " version ", model_version,
                                                    ": there is nothing to go back to"));
}

}  // namespace calserve
