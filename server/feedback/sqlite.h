#ifndef CALSERVE_SERVER_FEEDBACK_SQLITE_H_
#define CALSERVE_SERVER_FEEDBACK_SQLITE_H_

#include <sqlite3.h>

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

// SQLite's C interface with owners and absl::Status. None of it is thread-safe: a connection, and what was
// made with it, belongs to whoever holds its lock.
namespace calserve::sqlite {

// A prepared statement. Parameters count from 1, columns from 0, as in SQLite.
class Statement {
 public:
  Statement() = default;

  // Texts and blobs are not copied: they must stay until Reset, or the next Bind of that parameter.
  void Bind(int parameter, std::integral auto value) { sqlite3_bind_int64(get(), parameter, value); }
  void Bind(int parameter, double value) { sqlite3_bind_double(get(), parameter, value); }
  void Bind(int parameter, absl::string_view text);
  void BindBlob(int parameter, const void* data, size_t size);
  void BindNull(int parameter) { sqlite3_bind_null(get(), parameter); }

  // True if there is a row.
  absl::StatusOr<bool> Step();
  // For a statement that gives no rows: runs it and makes it ready to run again, also after an error.
  absl::Status Run();
  void Reset() { sqlite3_reset(get()); }

  bool IsNull(int column) const { return sqlite3_column_type(get(), column) == SQLITE_NULL; }
  int64_t Int(int column) const { return sqlite3_column_int64(get(), column); }
  double Double(int column) const { return sqlite3_column_double(get(), column); }
  std::string Text(int column) const { return std::string(Blob(column)); }
  // Valid until the next Step or Reset.
  absl::string_view Blob(int column) const;

 private:
  friend class Connection;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
  sqlite3_stmt* get() const { return statement_.get(); }

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class Connection {
 public:
  Connection() = default;

  // `flags`: SQLITE_OPEN_*; `busy_timeout`: how long to wait for another process's lock.
  static absl::StatusOr<Connection> Open(const std::string& path, int flags, absl::Duration busy_timeout);

  // One or more statements; rows are ignored.
  absl::Status Execute(const std::string& sql);
  absl::StatusOr<Statement> Prepare(absl::string_view sql);
  // The first column of the first row, as text.
  absl::StatusOr<std::string> QueryText(absl::string_view sql);

  // UNAVAILABLE if the file that is open is not the one at its path any more: what is written would be lost.
  absl::Status CheckInPlace() const;

  // Rows changed by the last INSERT, UPDATE or DELETE.
  int64_t changes() const { return sqlite3_changes64(db_.get()); }
  sqlite3* get() const { return db_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
  };
  std::unique_ptr<sqlite3, Close> db_;
};

// A transaction; rolled back on destruction unless committed.
class Transaction {
 public:
  enum class Kind { kRead, kWrite };
  static absl::StatusOr<Transaction> Begin(Connection& db, Kind kind);
  Transaction(Transaction&& other) noexcept : db_(other.db_) { other.db_ = nullptr; }
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  absl::Status Commit();

 private:
  explicit Transaction(Connection* db) : db_(db) {}

  Connection* db_;
};

// The error that SQLite reports for `db`, as the Store contract has it: UNAVAILABLE for what can pass (no
// space, I/O error, locked, read-only), DATA_LOSS for damage, INTERNAL for mistakes of ours. Names the file
// and what to do.
absl::Status ToStatus(sqlite3* db, int result);

}  // namespace calserve::sqlite

#endif  // CALSERVE_SERVER_FEEDBACK_SQLITE_H_
