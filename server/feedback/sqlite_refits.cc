#include "server/feedback/sqlite_refits.h"

#include <utility>

#include "absl/strings/string_view.h"
#include "server/base/status_macros.h"

namespace calserve {
namespace {

using sqlite::Statement;
using Kind = RefitAttempt::Kind;
using Outcome = RefitAttempt::Outcome;

constexpr std::pair<Outcome, absl::string_view> kOutcomes[] = {{Outcome::kJudging, "JUDGING"},
                                                               {Outcome::kActivated, "ACTIVATED"},
                                                               {Outcome::kKept, "KEPT"},
                                                               {Outcome::kSuperseded, "SUPERSEDED"},
                                                               {Outcome::kInterrupted, "INTERRUPTED"}};

absl::string_view NameOf(Outcome outcome) {
  for (const auto& [each, name] : kOutcomes) {
    if (each == outcome) return name;
  }
  return "INTERRUPTED";
}

Outcome OutcomeOf(absl::string_view text) {
  for (const auto& [outcome, name] : kOutcomes) {
    if (name == text) return outcome;
  }
  return Outcome::kInterrupted;
}

RefitAttempt ReadRow(const Statement& row) {
  RefitAttempt attempt;
  attempt.model = row.Text(0);
  attempt.model_version = row.Int(1);
  attempt.incumbent = row.Int(2);
  attempt.attempt = row.Int(3);
  attempt.kind = row.Text(4) == "ROLLBACK" ? Kind::kRollback : Kind::kRefit;
  attempt.candidate = row.Int(5);
  attempt.judged_position = row.Int(6);
  attempt.outcome = OutcomeOf(row.Text(7));
  attempt.reason = row.Text(8);
  attempt.time = absl::FromUnixMicros(row.Int(9));
  return attempt;
}

absl::Status SetNote(sqlite::Connection& db, const RefitAttempt& attempt) {
  ASSIGN_OR_RETURN(Statement update, db.Prepare("UPDATE calibrators SET note = ?"
                                                " WHERE model = ? AND version = ? AND activated IS NULL"));
  update.Bind(1, attempt.reason);
  update.Bind(2, attempt.model);
  update.Bind(3, attempt.candidate);
  return update.Run();
}

}  // namespace

absl::Status ReplaceRefitAttempt(sqlite::Connection& db, const RefitAttempt& attempt) {
  ASSIGN_OR_RETURN(Statement insert,
                   db.Prepare("INSERT OR REPLACE INTO refits (model, model_version, incumbent, attempt, kind,"
                              " candidate, judged_position, outcome, reason, time)"
                              " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  insert.Bind(1, attempt.model);
  insert.Bind(2, attempt.model_version);
  insert.Bind(3, attempt.incumbent);
  insert.Bind(4, attempt.attempt);
  insert.Bind(5, absl::string_view(attempt.kind == Kind::kRollback ? "ROLLBACK" : "REFIT"));
  insert.Bind(6, attempt.candidate);
  insert.Bind(7, attempt.judged_position);
  insert.Bind(8, NameOf(attempt.outcome));
  insert.Bind(9, attempt.reason);
  insert.Bind(10, absl::ToUnixMicros(attempt.time));
  RETURN_IF_ERROR(insert.Run());
  return SetNote(db, attempt);
}

absl::StatusOr<std::vector<RefitAttempt>> SelectRefitAttempts(sqlite::Connection& db,
                                                              const std::string& model, int64_t model_version,
                                                              std::optional<int64_t> incumbent,
                                                              int64_t limit) {
  ASSIGN_OR_RETURN(Statement rows,
                   db.Prepare("SELECT model, model_version, incumbent, attempt, kind, candidate,"
                              " judged_position, outcome, reason, time FROM refits"
                              " WHERE model = ?1 AND model_version = ?2 AND (?3 IS NULL OR incumbent = ?3)"
                              " ORDER BY time DESC, judged_position DESC, attempt DESC LIMIT ?4"));
  rows.Bind(1, model);
  rows.Bind(2, model_version);
  if (incumbent.has_value()) rows.Bind(3, *incumbent);
  rows.Bind(4, limit);
  std::vector<RefitAttempt> attempts;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return attempts;
    attempts.push_back(ReadRow(rows));
  }
}

}  // namespace calserve
