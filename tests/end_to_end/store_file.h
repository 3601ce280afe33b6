#ifndef CALSERVE_TESTS_END_TO_END_STORE_FILE_H_
#define CALSERVE_TESTS_END_TO_END_STORE_FILE_H_

#include <cstdint>
#include <set>
#include <string>

namespace calserve::e2e {

// What the SQLite file of a stopped server says, read without the server's code.
struct StoredLog {
  int64_t rows = 0, first_position = 0, last_position = 0, next_position = 0;
  int64_t rows_out_of_time = 0;          // older than the row before
  std::set<std::string> prediction_ids;  // as text
  int64_t checkpoint_position = 0;       // 0: there is none
};
// Throws where the file cannot be read.
StoredLog ReadStoredLog(const std::string& path);

// Deletes the fold state, so that the next start folds the log from its first row.
void DeleteCheckpoints(const std::string& path);

// Whether the write-ahead log of a killed server ends in a transaction that it had begun to write and not
// committed: frames of the present generation after the last frame that commits.
bool HasOpenTransaction(const std::string& wal_path);

}  // namespace calserve::e2e

#endif  // CALSERVE_TESTS_END_TO_END_STORE_FILE_H_
