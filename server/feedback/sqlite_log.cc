#include "server/feedback/sqlite_log.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/status_macros.h"
#include "server/feedback/ticket_codec.h"

namespace calserve {
namespace {

static_assert(std::endian::native == std::endian::little,
              "logits are stored little-endian, as they are in memory");

using sqlite::Connection;
using sqlite::Statement;
using sqlite::Transaction;

constexpr char kInsert[] =
    "INSERT INTO feedback (position, time, prediction_id, served_id, issued_at, label, predicted_class,"
    " uncalibrated_class, classes, confidence, uncalibrated_confidence, max_logit, source, submitter, "
    "attributes,"
    " logits, inclusion_probability)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
    " ON CONFLICT (prediction_id) DO NOTHING";

// CROSS JOIN: the log outside, in the order of its key, `served` inside.
constexpr char kSelect[] =
    "SELECT position, time, prediction_id, issued_at, label, predicted_class, uncalibrated_class, classes,"
    " confidence, uncalibrated_confidence, max_logit, source, submitter, attributes, logits, model, "
    "model_version,"
    " model_digest, calibrator_version, calibrator_digest, inclusion_probability"
    " FROM feedback CROSS JOIN served ON served.id = served_id WHERE position > ? AND position < ?";

// SQLite has no NaN: it becomes NULL.
float Float(const Statement& row, int column) {
  return row.IsNull(column) ? std::numeric_limits<float>::quiet_NaN()
                            : static_cast<float>(row.Double(column));
}

constexpr int kAttributesColumn = 13;

absl::StatusOr<bool> AttributesHold(const Statement& row, const std::vector<AttributeRule>& rules) {
  if (rules.empty()) return true;
  if (row.IsNull(kAttributesColumn)) return false;
  ASSIGN_OR_RETURN(const Attributes attributes, DecodeAttributes(row.Blob(kAttributesColumn)));
  return Hold(rules, attributes);
}

absl::StatusOr<ScoredLabel> ReadRow(const Statement& row) {
  ScoredLabel label;
  TicketContent& p = label.prediction;
  label.position = row.Int(0);
  label.time = absl::FromUnixMicros(row.Int(1));
  const absl::string_view id = row.Blob(2);
  if (id.size() != p.prediction_id.bytes.size()) {
    return absl::DataLossError(absl::StrCat("feedback store: the row at position ", label.position,
                                            " has a prediction id of ", id.size(), " bytes"));
  }
  std::memcpy(p.prediction_id.bytes.data(), id.data(), id.size());
  p.issued_at = absl::FromUnixMicros(row.Int(3));
  label.label = static_cast<int32_t>(row.Int(4));
  p.predicted_class = static_cast<int32_t>(row.Int(5));
  p.uncalibrated_class = static_cast<int32_t>(row.Int(6));
  p.classes = static_cast<int32_t>(row.Int(7));
  p.confidence = Float(row, 8);
  p.uncalibrated_confidence = Float(row, 9);
  p.max_logit = Float(row, 10);
  label.source = row.Text(11);
  label.submitter = row.Text(12);
  if (!row.IsNull(kAttributesColumn)) {
    ASSIGN_OR_RETURN(p.attributes, DecodeAttributes(row.Blob(kAttributesColumn)));
  }
  const absl::string_view logits = row.Blob(14);
  p.logits_fp16.resize(logits.size() / sizeof(uint16_t));
  if (!logits.empty())
    std::memcpy(p.logits_fp16.data(), logits.data(), p.logits_fp16.size() * sizeof(uint16_t));
  p.model = row.Text(15);
  p.model_version = row.Int(16);
  p.model_digest = row.Text(17);
  p.calibrator_version = row.Int(18);
  p.calibrator_digest = row.Text(19);
  if (!row.IsNull(20)) label.inclusion_probability = row.Double(20);
  return label;
}

// The first position whose row's time is >= `time`, or one after the last row: times never decrease along the
// log, so a binary search over the positions finds it without an index on time.
absl::StatusOr<int64_t> FirstPositionAt(Connection& db, absl::Time time) {
  ASSIGN_OR_RETURN(Statement bounds, db.Prepare("SELECT min(position), max(position) FROM feedback"));
  RETURN_IF_ERROR(bounds.Step().status());
  if (bounds.IsNull(0)) return 1;
  int64_t low = bounds.Int(0), high = bounds.Int(1) + 1;
  ASSIGN_OR_RETURN(Statement find,
                   db.Prepare("SELECT time FROM feedback WHERE position >= ? ORDER BY position LIMIT 1"));
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    find.Bind(1, middle);
    ASSIGN_OR_RETURN(const bool found, find.Step());
    const bool at_or_after = !found || absl::FromUnixMicros(find.Int(0)) >= time;
    find.Reset();
    if (at_or_after) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

// The positions strictly between which the selection lies.
struct PositionRange {
  int64_t after, before;
};

absl::StatusOr<PositionRange> RangeOf(Connection& db, const LogSelection& selection) {
  PositionRange range{selection.after_position, selection.before_position};
  if (selection.start != absl::InfinitePast()) {
    ASSIGN_OR_RETURN(const int64_t first, FirstPositionAt(db, selection.start));
    range.after = std::max(range.after, first - 1);
  }
  if (selection.end != absl::InfiniteFuture()) {
    ASSIGN_OR_RETURN(const int64_t end, FirstPositionAt(db, selection.end));
    range.before = std::min(range.before, end);
  }
  return range;
}

std::string Placeholders(size_t count) { return absl::StrJoin(std::vector<std::string>(count, "?"), ", "); }

std::string SelectSql(const LogSelection& selection, LogEnd end) {
  std::string sql = kSelect;
  if (selection.model) absl::StrAppend(&sql, " AND model = ?");
  if (selection.model_version) absl::StrAppend(&sql, " AND model_version = ?");
  if (selection.calibrator_version) absl::StrAppend(&sql, " AND calibrator_version = ?");
  if (!selection.sources.empty()) {
    absl::StrAppend(&sql, " AND source IN (", Placeholders(selection.sources.size()), ")");
  }
  if (!selection.excluded_sources.empty()) {
    absl::StrAppend(&sql, " AND source NOT IN (", Placeholders(selection.excluded_sources.size()), ")");
  }
  absl::StrAppend(&sql, " ORDER BY position ", end == LogEnd::kNewest ? "DESC" : "ASC", " LIMIT ?");
  return sql;
}

}  // namespace

absl::StatusOr<SqliteLogAppender> SqliteLogAppender::Create(Connection& db) {
  SqliteLogAppender appender(db);
  ASSIGN_OR_RETURN(appender.insert_, db.Prepare(kInsert));
  ASSIGN_OR_RETURN(appender.find_label_, db.Prepare("SELECT label FROM feedback WHERE prediction_id = ?"));
  ASSIGN_OR_RETURN(appender.insert_served_,
                   db.Prepare("INSERT INTO served (model, model_version, calibrator_version, model_digest,"
                              " calibrator_digest) VALUES (?, ?, ?, ?, ?)"));
  ASSIGN_OR_RETURN(
      appender.find_served_,
      db.Prepare("SELECT id FROM served WHERE model = ? AND model_version = ? AND calibrator_version = ?"
                 " AND model_digest = ? AND calibrator_digest = ?"));
  ASSIGN_OR_RETURN(appender.save_head_, db.Prepare("UPDATE log_head SET next_position = ?, last_time = ?"));
  return appender;
}

absl::StatusOr<SqliteLogAppender::Appended> SqliteLogAppender::Append(absl::Span<const ScoredLabel> labels,
                                                                      absl::Time now) {
  ASSIGN_OR_RETURN(const LogHead head, ReadLogHead(*db_));
  const int64_t time = absl::ToUnixMicros(std::max(now, head.last_time));
  Appended appended{{}, head.next_position, absl::FromUnixMicros(time)};
  appended.outcomes.reserve(labels.size());
  int64_t position = head.next_position;
  for (const ScoredLabel& label : labels) {
    ASSIGN_OR_RETURN(const AppendOutcome outcome, AppendOne(label, position, time));
    if (outcome == AppendOutcome::kAccepted) ++position;
    appended.outcomes.push_back(outcome);
  }
  if (position != head.next_position) {
    save_head_.Bind(1, position);
    save_head_.Bind(2, time);
    RETURN_IF_ERROR(save_head_.Run());
  }
  return appended;
}

absl::StatusOr<AppendOutcome> SqliteLogAppender::AppendOne(const ScoredLabel& label, int64_t position,
                                                           int64_t time) {
  const TicketContent& p = label.prediction;
  ASSIGN_OR_RETURN(const int64_t served, ServedId(p));
  const std::string attributes = p.attributes.empty() ? std::string() : EncodeAttributes(p.attributes);
  insert_.Bind(1, position);
  insert_.Bind(2, time);
  insert_.BindBlob(3, p.prediction_id.bytes.data(), p.prediction_id.bytes.size());
  insert_.Bind(4, served);
  insert_.Bind(5, absl::ToUnixMicros(p.issued_at));
  insert_.Bind(6, label.label);
  insert_.Bind(7, p.predicted_class);
  insert_.Bind(8, p.uncalibrated_class);
  insert_.Bind(9, p.classes);
  insert_.Bind(10, p.confidence);
  insert_.Bind(11, p.uncalibrated_confidence);
  insert_.Bind(12, p.max_logit);
  insert_.Bind(13, label.source);
  insert_.Bind(14, label.submitter);
  if (attributes.empty()) {
    insert_.BindNull(15);
  } else {
    insert_.BindBlob(15, attributes.data(), attributes.size());
  }
  if (p.logits_fp16.empty()) {
    insert_.BindNull(16);
  } else {
    insert_.BindBlob(16, p.logits_fp16.data(), p.logits_fp16.size() * sizeof(uint16_t));
  }
  if (label.inclusion_probability.has_value()) {
    insert_.Bind(17, *label.inclusion_probability);
  } else {
    insert_.BindNull(17);
  }
  RETURN_IF_ERROR(insert_.Run());
  if (db_->changes() == 1) return AppendOutcome::kAccepted;

  find_label_.BindBlob(1, p.prediction_id.bytes.data(), p.prediction_id.bytes.size());
  ASSIGN_OR_RETURN(const bool found, find_label_.Step());
  const bool same = found && find_label_.Int(0) == label.label;
  find_label_.Reset();
  return same ? AppendOutcome::kDuplicate : AppendOutcome::kLabelConflict;
}

absl::StatusOr<int64_t> SqliteLogAppender::ServedId(const TicketContent& p) {
  const auto key =
      std::tie(p.model, p.model_version, p.calibrator_version, p.model_digest, p.calibrator_digest);
  if (const auto known = served_ids_.find(key); known != served_ids_.end()) return known->second;

  const auto bind = [&](Statement& statement) {
    statement.Bind(1, p.model);
    statement.Bind(2, p.model_version);
    statement.Bind(3, p.calibrator_version);
    statement.Bind(4, p.model_digest);
    statement.Bind(5, p.calibrator_digest);
  };
  bind(find_served_);
  ASSIGN_OR_RETURN(const bool found, find_served_.Step());
  int64_t id = found ? find_served_.Int(0) : 0;
  find_served_.Reset();
  if (!found) {
    bind(insert_served_);
    RETURN_IF_ERROR(insert_served_.Run());
    id = sqlite3_last_insert_rowid(db_->get());
  }
  served_ids_.emplace(key, id);
  return id;
}

absl::StatusOr<LogHead> ReadLogHead(Connection& db) {
  ASSIGN_OR_RETURN(Statement row, db.Prepare("SELECT next_position, last_time FROM log_head"));
  ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return absl::DataLossError("feedback store: the table log_head is empty; restore a backup");
  LogHead head;
  head.next_position = row.Int(0);
  if (!row.IsNull(1)) head.last_time = absl::FromUnixMicros(row.Int(1));
  return head;
}

absl::StatusOr<std::vector<ScoredLabel>> ReadLog(Connection& db, const LogSelection& selection, LogEnd end,
                                                 int64_t limit) {
  if (limit < 0) return absl::InvalidArgumentError(absl::StrCat("limit must be >= 0; was ", limit));
  ASSIGN_OR_RETURN(const Transaction snapshot, Transaction::Begin(db, Transaction::Kind::kRead));
  ASSIGN_OR_RETURN(const PositionRange range, RangeOf(db, selection));
  ASSIGN_OR_RETURN(Statement rows, db.Prepare(SelectSql(selection, end)));
  int parameter = 0;
  rows.Bind(++parameter, range.after);
  rows.Bind(++parameter, range.before);
  if (selection.model) rows.Bind(++parameter, *selection.model);
  if (selection.model_version) rows.Bind(++parameter, *selection.model_version);
  if (selection.calibrator_version) rows.Bind(++parameter, *selection.calibrator_version);
  for (const std::string& source : selection.sources) rows.Bind(++parameter, source);
  for (const std::string& source : selection.excluded_sources) rows.Bind(++parameter, source);
  // SQL does not look into attributes: what they leave out does not count.
  rows.Bind(++parameter, selection.attributes.empty() ? limit : int64_t{-1});

  std::vector<ScoredLabel> labels;
  while (static_cast<int64_t>(labels.size()) < limit) {
    ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) break;
    ASSIGN_OR_RETURN(const bool holds, AttributesHold(rows, selection.attributes));
    if (!holds) continue;
    ASSIGN_OR_RETURN(ScoredLabel label, ReadRow(rows));
    labels.push_back(std::move(label));
  }
  if (end == LogEnd::kNewest) std::reverse(labels.begin(), labels.end());
  return labels;
}

absl::StatusOr<int64_t> DeleteFromLog(Connection& db, absl::Time before, int64_t limit) {
  ASSIGN_OR_RETURN(const int64_t end, FirstPositionAt(db, before));
  ASSIGN_OR_RETURN(Statement remove, db.Prepare("DELETE FROM feedback WHERE position < "
                                                "min(?, (SELECT min(position) FROM feedback) + ?)"));
  remove.Bind(1, end);
  remove.Bind(2, limit);
  RETURN_IF_ERROR(remove.Run());
  return db.changes();
}

}  // namespace calserve
