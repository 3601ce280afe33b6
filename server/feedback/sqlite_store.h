#ifndef CALSERVE_SERVER_FEEDBACK_SQLITE_STORE_H_
#define CALSERVE_SERVER_FEEDBACK_SQLITE_STORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "server/base/fifo_mutex.h"
#include "server/base/mutex.h"
#include "server/feedback/posix_file.h"
#include "server/feedback/sqlite.h"
#include "server/feedback/sqlite_log.h"
#include "server/feedback/store.h"

namespace calserve {

// The store in one SQLite file, with FILE-wal and FILE-shm beside it while it is open, and FILE.lock, which
// keeps a second server out. One connection writes; every read has a connection to itself and sees one
// snapshot: it waits neither for the writer nor for another read. A connection on which something went wrong
// is closed, and the next call opens a new one: so the store recovers when the cause is gone. Thread-safe.
class SqliteStore final : public Store {
 public:
  // Makes the file and its directory if they are not there.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::string& path,
                                                           absl::Duration busy_timeout);

  absl::StatusOr<std::vector<AppendOutcome>> Append(absl::Span<ScoredLabel> labels, absl::Time now) override;
  absl::StatusOr<LogHead> Head() override;
  absl::StatusOr<std::vector<ScoredLabel>> Read(const LogSelection& selection, int64_t limit) override;
  absl::StatusOr<std::vector<ScoredLabel>> ReadNewest(const LogSelection& selection, int64_t limit) override;
  absl::StatusOr<int64_t> DeleteBefore(absl::Time before) override;
  absl::StatusOr<StoredCalibrator> AddCalibrator(StoredCalibrator calibrator) override;
  absl::StatusOr<std::vector<StoredCalibrator>> ListCalibrators(const std::string& model) override;
  absl::Status ActivateCalibrator(const std::string& model, int64_t model_version, int64_t version,
                                  int64_t expected_active, absl::Time now) override;
  absl::StatusOr<int64_t> PreviousActive(const std::string& model, int64_t model_version) override;
  absl::StatusOr<std::optional<CalibratorActivation>> LastActivation(const std::string& model,
                                                                     int64_t model_version) override;
  absl::Status SaveRefitAttempt(const RefitAttempt& attempt) override;
  absl::StatusOr<std::vector<RefitAttempt>> ListRefitAttempts(const std::string& model, int64_t model_version,
                                                              std::optional<int64_t> incumbent,
                                                              int64_t limit) override;
  absl::Status AddAcknowledgement(const Acknowledgement& acknowledgement) override;
  absl::StatusOr<std::vector<Acknowledgement>> ListAcknowledgements(int64_t position) override;
  absl::Status SaveCheckpoint(const std::string& name, const Checkpoint& checkpoint,
                              absl::Span<const CheckpointPart> parts) override;
  absl::StatusOr<std::optional<Checkpoint>> LoadCheckpoint(const std::string& name) override;
  absl::StatusOr<std::string> LoadCheckpointPart(const std::string& name, const std::string& part,
                                                 int64_t position) override;
  std::string deployment_id() const override { return deployment_id_; }

 private:
  // The writing connection and what is prepared on it.
  struct Writer {
    explicit Writer(sqlite::Connection connection) : db(std::move(connection)) {}

    sqlite::Connection db;
    std::optional<SqliteLogAppender> log;
  };

  SqliteStore(std::string path, absl::Duration busy_timeout, FileLock lock)
      : path_(std::move(path)), busy_timeout_(busy_timeout), lock_(std::move(lock)) {}

  // Runs work(Writer&) in a transaction and commits it; nothing is changed unless the result is OK.
  template <typename Work>
  auto Write(Work work) -> decltype(work(std::declval<Writer&>()));
  // Runs work(Connection&) on a reading connection.
  template <typename Work>
  auto ReadWith(Work work) -> decltype(work(std::declval<sqlite::Connection&>()));

  absl::Status EnsureWriter() ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu_);
  absl::StatusOr<sqlite::Connection> TakeReader();
  void GiveBackReader(sqlite::Connection reader);

  const std::string path_;
  const absl::Duration busy_timeout_;
  const FileLock lock_;
  std::string deployment_id_;  // Constant after Open.

  FifoMutex write_mu_;  // Feedback waits for one transaction of a checkpoint, not for all.
  std::unique_ptr<Writer> writer_ ABSL_GUARDED_BY(write_mu_);  // null after a failure
  Mutex read_mu_;
  std::vector<sqlite::Connection> idle_readers_ ABSL_GUARDED_BY(read_mu_);
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_FEEDBACK_SQLITE_STORE_H_
