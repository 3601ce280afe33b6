#ifndef CALSERVE_SERVER_FEEDBACK_SQLITE_LOG_H_
#define CALSERVE_SERVER_FEEDBACK_SQLITE_LOG_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/feedback/sqlite.h"
#include "server/feedback/store.h"

namespace calserve {

// The log of scored labels in SQLite: tables log_head, served and feedback.

// Appends to the log. Keeps its statements prepared, and what it knows of `served`: after a transaction that
// was not committed it must not be used again.
class SqliteLogAppender {
 public:
  // `db` outlives it.
  static absl::StatusOr<SqliteLogAppender> Create(sqlite::Connection& db);

  struct Appended {
    std::vector<AppendOutcome> outcomes;
    int64_t first_position = 0;  // the accepted rows have this and the following positions
    absl::Time time;
  };

  // As Store::Append, within a write transaction of the caller's.
  absl::StatusOr<Appended> Append(absl::Span<const ScoredLabel> labels, absl::Time now);

 private:
  // In the order of the columns of the unique index.
  using Served = std::tuple<std::string, int64_t, int64_t, std::string, std::string>;

  explicit SqliteLogAppender(sqlite::Connection& db) : db_(&db) {}

  absl::StatusOr<int64_t> ServedId(const TicketContent& prediction);
  absl::StatusOr<AppendOutcome> AppendOne(const ScoredLabel& label, int64_t position, int64_t time);

  sqlite::Connection* db_;
  sqlite::Statement insert_, find_label_, insert_served_, find_served_, save_head_;
  std::map<Served, int64_t, std::less<>> served_ids_;
};

absl::StatusOr<LogHead> ReadLogHead(sqlite::Connection& db);

enum class LogEnd { kOldest, kNewest };

// At most `limit` rows of the selection, from that end of it, in the order of position. One snapshot of the
// log.
absl::StatusOr<std::vector<ScoredLabel>> ReadLog(sqlite::Connection& db, const LogSelection& selection,
                                                 LogEnd end, int64_t limit);

// Deletes the oldest rows with time < `before`, at most `limit`; returns how many. Within a write
// transaction.
absl::StatusOr<int64_t> DeleteFromLog(sqlite::Connection& db, absl::Time before, int64_t limit);

}  // namespace calserve

#endif  // CALSERVE_SERVER_FEEDBACK_SQLITE_LOG_H_
