#include "server/feedback/sqlite.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"

namespace calserve::sqlite {

void Statement::Bind(int parameter, absl::string_view text) {
  // A null pointer would bind NULL, an empty view may have one.
  sqlite3_bind_text64(get(), parameter, text.empty() ? "" : text.data(), text.size(), SQLITE_STATIC,
                      SQLITE_UTF8);
}

void Statement::BindBlob(int parameter, const void* data, size_t size) {
  sqlite3_bind_blob64(get(), parameter, size == 0 ? "" : data, size, SQLITE_STATIC);
}

absl::StatusOr<bool> Statement::Step() {
  const int result = sqlite3_step(get());
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return ToStatus(sqlite3_db_handle(get()), result);
}

absl::Status Statement::Run() {
  const absl::StatusOr<bool> row = Step();
  Reset();
  return row.status();
}

absl::string_view Statement::Blob(int column) const {
  const void* const data = sqlite3_column_blob(get(), column);
  return absl::string_view(static_cast<const char*>(data), sqlite3_column_bytes(get(), column));
}

absl::StatusOr<Connection> Connection::Open(const std::string& path, int flags, absl::Duration busy_timeout) {
  sqlite3* db = nullptr;
  const int result =
      sqlite3_open_v2(path.c_str(), &db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  Connection connection;
  connection.db_.reset(db);
  if (result != SQLITE_OK) return ToStatus(db, result);
  sqlite3_busy_timeout(db, static_cast<int>(absl::ToInt64Milliseconds(busy_timeout)));
  return connection;
}

absl::Status Connection::Execute(const std::string& sql) {
  const int result = sqlite3_exec(get(), sql.c_str(), nullptr, nullptr, nullptr);
  return result == SQLITE_OK ? absl::OkStatus() : ToStatus(get(), result);
}

absl::StatusOr<Statement> Connection::Prepare(absl::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int result = sqlite3_prepare_v2(get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (result != SQLITE_OK) return ToStatus(get(), result);
  return Statement(statement);
}

absl::StatusOr<std::string> Connection::QueryText(absl::string_view sql) {
  ASSIGN_OR_RETURN(Statement statement, Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) return absl::InternalError(absl::StrCat("no row for: ", sql));
  return statement.Text(0);
}

absl::Status Connection::CheckInPlace() const {
  int moved = 0;
  const int result = sqlite3_file_control(get(), "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  if (result != SQLITE_OK) return ToStatus(get(), result);
  if (moved == 0) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("feedback store ", sqlite3_db_filename(get(), "main"),
                   ": the file was moved or deleted while the server ran; put it back"));
}

absl::StatusOr<Transaction> Transaction::Begin(Connection& db, Kind kind) {
  RETURN_IF_ERROR(db.Execute(kind == Kind::kWrite ? "BEGIN IMMEDIATE" : "BEGIN"));
  return Transaction(&db);
}

Transaction::~Transaction() {
  // Some errors have rolled back already: then there is nothing left to do, and the error of this call says
  // only that.
  if (db_ != nullptr && sqlite3_get_autocommit(db_->get()) == 0) (void)db_->Execute("ROLLBACK");
}

absl::Status Transaction::Commit() {
  RETURN_IF_ERROR(db_->Execute("COMMIT"));
  db_ = nullptr;
  return absl::OkStatus();
}

absl::Status ToStatus(sqlite3* db, int result) {
  if (db == nullptr) return absl::UnavailableError("feedback store: no memory to open it");
  const int error = sqlite3_system_errno(db);
  const char* const name = sqlite3_db_filename(db, "main");
  const std::string prefix = absl::StrCat("feedback store ", name == nullptr ? "" : name, ": ");
  const std::string detail = absl::StrCat(" (", sqlite3_errmsg(db), ", SQLite code ", result,
                                          error == 0 ? "" : absl::StrCat(", ", std::strerror(error)), ")");
  switch (result & 0xff) {
    case SQLITE_IOERR:
      if (error != ENOSPC && error != EDQUOT) {
        return absl::UnavailableError(absl::StrCat(prefix, "I/O error", detail, "; check the disk"));
      }
      [[fallthrough]];
    case SQLITE_FULL:
      return absl::UnavailableError(
          absl::StrCat(prefix, "no space left on its file system; free some", detail));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError(absl::StrCat(prefix, "locked by another process; end that one", detail));
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return absl::UnavailableError(
          absl::StrCat(prefix, "read-only; make the file and its directory writable", detail));
    case SQLITE_CANTOPEN:
      return absl::UnavailableError(absl::StrCat(prefix, "cannot be opened", detail));
    case SQLITE_NOMEM:
      return absl::UnavailableError(absl::StrCat(prefix, "out of memory", detail));
    case SQLITE_NOTADB:
      return absl::DataLossError(absl::StrCat(prefix, "not a SQLite database; restore a backup", detail));
    case SQLITE_CORRUPT:
      return absl::DataLossError(absl::StrCat(prefix, "damaged; restore a backup", detail));
    default:
      return absl::InternalError(absl::StrCat(prefix, "unexpected error", detail));
  }
}

}  // namespace calserve::sqlite
