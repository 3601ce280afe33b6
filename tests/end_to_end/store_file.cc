#include "tests/end_to_end/store_file.h"

#include <sqlite3.h>

#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <stdexcept>

namespace calserve::e2e {
namespace {

using Row = std::function<void(sqlite3_stmt*)>;

class Database {
 public:
  Database(const std::string& path, int flags) {
    sqlite3* db = nullptr;
    const int result = sqlite3_open_v2(path.c_str(), &db, flags, nullptr);
    db_.reset(db);
    Check(result);
  }
  void ForEachRow(const std::string& sql, const Row& row) {
    sqlite3_stmt* prepared = nullptr;
    Check(sqlite3_prepare_v2(db_.get(), sql.c_str(), -1, &prepared, nullptr));
    const std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)> statement(prepared, sqlite3_finalize);
    int result;
    while ((result = sqlite3_step(prepared)) == SQLITE_ROW) row(prepared);
    if (result != SQLITE_DONE) Check(result);
  }

 private:
  void Check(int result) const {
    if (result != SQLITE_OK) throw std::runtime_error(sqlite3_errmsg(db_.get()));
  }
  struct Close {
    void operator()(sqlite3* db) const { sqlite3_close(db); }
  };
  std::unique_ptr<sqlite3, Close> db_;
};

uint32_t BigEndian(const std::string& bytes, size_t at) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

}  // namespace

StoredLog ReadStoredLog(const std::string& path) {
  Database db(path, SQLITE_OPEN_READONLY);
  StoredLog log;
  db.ForEachRow("SELECT count(*), min(position), max(position) FROM feedback", [&](sqlite3_stmt* row) {
    log.rows = sqlite3_column_int64(row, 0);
    log.first_position = sqlite3_column_int64(row, 1);
    log.last_position = sqlite3_column_int64(row, 2);
  });
  db.ForEachRow("SELECT next_position FROM log_head",
                [&](sqlite3_stmt* row) { log.next_position = sqlite3_column_int64(row, 0); });
  int64_t last_time = 0;
  db.ForEachRow("SELECT lower(hex(prediction_id)), time FROM feedback ORDER BY position",
                [&](sqlite3_stmt* row) {
                  std::string id = reinterpret_cast<const char*>(sqlite3_column_text(row, 0));
                  for (const size_t dash : {8, 13, 18, 23}) id.insert(dash, "-");
                  log.prediction_ids.insert(id);
                  const int64_t time = sqlite3_column_int64(row, 1);
                  if (time < last_time) ++log.rows_out_of_time;
                  last_time = time;
                });
  db.ForEachRow("SELECT max(position) FROM checkpoints",
                [&](sqlite3_stmt* row) { log.checkpoint_position = sqlite3_column_int64(row, 0); });
  return log;
}

void DeleteCheckpoints(const std::string& path) {
  Database(path, SQLITE_OPEN_READWRITE).ForEachRow("DELETE FROM checkpoints", [](sqlite3_stmt*) {});
}

// The format: https://www.sqlite.org/fileformat2.html, "The Write-Ahead Log". A 32-byte header with page size
// and two salts, then frames of a 24-byte header and a page; a frame belongs to the present generation if its
// salts are the header's, and commits if the word after its page number is not 0.
bool HasOpenTransaction(const std::string& wal_path) {
  std::ifstream file(wal_path, std::ios::binary);
  const std::string wal((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  constexpr size_t kHeader = 32, kFrameHeader = 24, kPageSizeAt = 8, kSaltAt = 16, kFrameSaltAt = 8;
  if (wal.size() < kHeader) return false;
  const size_t frame_size = kFrameHeader + BigEndian(wal, kPageSizeAt);
  bool open = false;
  for (size_t frame = kHeader; frame + kFrameHeader <= wal.size(); frame += frame_size) {
    if (wal.compare(frame + kFrameSaltAt, 8, wal, kSaltAt, 8) != 0) break;
    const bool whole = frame + frame_size <= wal.size();
    const bool commits = BigEndian(wal, frame + 4) != 0;
    open = !(whole && commits);
  }
  return open;
}

}  // namespace calserve::e2e
