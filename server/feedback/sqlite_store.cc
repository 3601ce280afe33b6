#include "server/feedback/sqlite_store.h"

#include <fcntl.h>

#include <cerrno>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/feedback/sqlite_acknowledgements.h"
#include "server/feedback/sqlite_calibrators.h"
#include "server/feedback/sqlite_checkpoints.h"
#include "server/feedback/sqlite_refits.h"
#include "server/feedback/sqlite_schema.h"

namespace calserve {
namespace {

using sqlite::Connection;
using sqlite::Transaction;

// Rows that one transaction deletes: some milliseconds, for which feedback waits.
constexpr int64_t kDeleteAtOnce = 10'000;

// Reading connections that are kept for the next reads; more are opened as more reads run at once.
constexpr size_t kIdleReaders = 4;

const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

// Whether the connection, rather than the request, may be at fault.
bool IsStoreFault(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDataLoss(status) || absl::IsInternal(status);
}

// Made by us and not by SQLite, so that only its owner can read it; SQLite gives the files beside it the same
// mode.
absl::Status MakeFile(const std::string& path) {
  const FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file.ok()) return PlaceError("cannot open the feedback store", path, errno);
  return SyncDirectory(DirectoryOf(path));
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::string& path,
                                                               absl::Duration busy_timeout) {
  RETURN_IF_ERROR(MakeDirectory(DirectoryOf(path)));
  ASSIGN_OR_RETURN(FileLock lock,
                   FileLock::Acquire(path + ".lock", absl::StrCat("the feedback store ", path)));
  RETURN_IF_ERROR(MakeFile(path));
  auto store = absl::WrapUnique(new SqliteStore(path, busy_timeout, std::move(lock)));
  FifoMutexLock write_lock(&store->write_mu_);
  RETURN_IF_ERROR(store->EnsureWriter());
  ASSIGN_OR_RETURN(Connection reader, store->TakeReader());
  store->GiveBackReader(std::move(reader));
  return store;
}

absl::Status SqliteStore::EnsureWriter() {
  if (writer_ != nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(Connection db, OpenWriter(path_, busy_timeout_));
  auto writer = std::make_unique<Writer>(std::move(db));
  if (deployment_id_.empty()) {
    RETURN_IF_ERROR(PrepareSchema(writer->db));
    ASSIGN_OR_RETURN(deployment_id_, ReadDeploymentId(writer->db));
  } else {
    ASSIGN_OR_RETURN(const std::string found, ReadDeploymentId(writer->db));
    if (found != deployment_id_) {
      return absl::UnavailableError(
          absl::StrCat("feedback store ", path_, ": replaced by that of deployment ", found,
                       " while the server ran; put back that of ", deployment_id_, ", or restart"));
    }
  }
  ASSIGN_OR_RETURN(writer->log, SqliteLogAppender::Create(writer->db));
  writer_ = std::move(writer);
  return absl::OkStatus();
}

absl::StatusOr<Connection> SqliteStore::TakeReader() {
  {
    MutexLock lock(&read_mu_);
    if (!idle_readers_.empty()) {
      Connection reader = std::move(idle_readers_.back());
      idle_readers_.pop_back();
      return reader;
    }
  }
  return OpenReader(path_, busy_timeout_);
}

void SqliteStore::GiveBackReader(Connection reader) {
  MutexLock lock(&read_mu_);
  if (idle_readers_.size() < kIdleReaders) idle_readers_.push_back(std::move(reader));
}

template <typename Work>
auto SqliteStore::Write(Work work) -> decltype(work(std::declval<Writer&>())) {
  FifoMutexLock lock(&write_mu_);
  RETURN_IF_ERROR(EnsureWriter());
  const auto run = [&](Writer& writer) -> decltype(work(writer)) {
    RETURN_IF_ERROR(writer.db.CheckInPlace());
    ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(writer.db, Transaction::Kind::kWrite));
    auto result = work(writer);
    RETURN_IF_ERROR(StatusOf(result));
    RETURN_IF_ERROR(transaction.Commit());
    return result;
  };
  auto result = run(*writer_);
  if (IsStoreFault(StatusOf(result))) writer_.reset();
  return result;
}

template <typename Work>
auto SqliteStore::ReadWith(Work work) -> decltype(work(std::declval<Connection&>())) {
  ASSIGN_OR_RETURN(Connection reader, TakeReader());
  if (!reader.CheckInPlace().ok()) {  // The file was put back from a copy: its writer goes on there.
    ASSIGN_OR_RETURN(reader, OpenReader(path_, busy_timeout_));
  }
  auto result = work(reader);
  if (!IsStoreFault(StatusOf(result))) GiveBackReader(std::move(reader));
  return result;
}

absl::StatusOr<std::vector<AppendOutcome>> SqliteStore::Append(absl::Span<ScoredLabel> labels,
                                                               absl::Time now) {
  ASSIGN_OR_RETURN(SqliteLogAppender::Appended appended,
                   Write([&](Writer& writer) { return writer.log->Append(labels, now); }));
  int64_t position = appended.first_position;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (appended.outcomes[i] != AppendOutcome::kAccepted) continue;
    labels[i].position = position++;
    labels[i].time = appended.time;
  }
  return std::move(appended.outcomes);
}

absl::StatusOr<LogHead> SqliteStore::Head() { return ReadWith(ReadLogHead); }

absl::StatusOr<std::vector<ScoredLabel>> SqliteStore::Read(const LogSelection& selection, int64_t limit) {
  return ReadWith([&](Connection& db) { return ReadLog(db, selection, LogEnd::kOldest, limit); });
}

absl::StatusOr<std::vector<ScoredLabel>> SqliteStore::ReadNewest(const LogSelection& selection,
                                                                 int64_t limit) {
  return ReadWith([&](Connection& db) { return ReadLog(db, selection, LogEnd::kNewest, limit); });
}

absl::StatusOr<int64_t> SqliteStore::DeleteBefore(absl::Time before) {
  return Write([&](Writer& writer) { return DeleteFromLog(writer.db, before, kDeleteAtOnce); });
}

absl::StatusOr<StoredCalibrator> SqliteStore::AddCalibrator(StoredCalibrator calibrator) {
  return Write([&](Writer& writer) { return InsertCalibrator(writer.db, std::move(calibrator)); });
}

absl::StatusOr<std::vector<StoredCalibrator>> SqliteStore::ListCalibrators(const std::string& model) {
  return ReadWith([&](Connection& db) { return SelectCalibrators(db, model); });
}

absl::Status SqliteStore::ActivateCalibrator(const std::string& model, int64_t model_version, int64_t version,
                                             int64_t expected_active, absl::Time now) {
  return Write([&](Writer& writer) {
    return SetActiveCalibrator(writer.db, model, model_version, version, expected_active, now);
  });
}

absl::StatusOr<int64_t> SqliteStore::PreviousActive(const std::string& model, int64_t model_version) {
  return ReadWith([&](Connection& db) { return SelectPreviousActive(db, model, model_version); });
}

absl::StatusOr<std::optional<CalibratorActivation>> SqliteStore::LastActivation(const std::string& model,
                                                                                int64_t model_version) {
  return ReadWith([&](Connection& db) { return SelectLastActivation(db, model, model_version); });
}

absl::Status SqliteStore::SaveRefitAttempt(const RefitAttempt& attempt) {
  return Write([&](Writer& writer) { return ReplaceRefitAttempt(writer.db, attempt); });
}

absl::StatusOr<std::vector<RefitAttempt>> SqliteStore::ListRefitAttempts(const std::string& model,
                                                                         int64_t model_version,
                                                                         std::optional<int64_t> incumbent,
                                                                         int64_t limit) {
  return ReadWith(
      [&](Connection& db) { return SelectRefitAttempts(db, model, model_version, incumbent, limit); });
}

absl::Status SqliteStore::AddAcknowledgement(const Acknowledgement& acknowledgement) {
  return Write([&](Writer& writer) { return InsertAcknowledgement(writer.db, acknowledgement); });
}

absl::StatusOr<std::vector<Acknowledgement>> SqliteStore::ListAcknowledgements(int64_t position) {
  return ReadWith([&](Connection& db) { return SelectAcknowledgements(db, position); });
}

absl::Status SqliteStore::SaveCheckpoint(const std::string& name, const Checkpoint& checkpoint,
                                         absl::Span<const CheckpointPart> parts) {
  const auto transaction = [this](absl::FunctionRef<absl::Status(Connection&)> work) {
    return Write([&](Writer& writer) { return work(writer.db); });
  };
  // What was written goes to the database file meanwhile, without the writer: else a commit of feedback
  // might have all of it to do.
  const auto pause = [this] {
    return ReadWith([](Connection& db) { return db.Execute("PRAGMA wal_checkpoint(PASSIVE)"); });
  };
  return ReplaceCheckpoint(name, checkpoint, parts, transaction, pause);
}

absl::StatusOr<std::optional<Checkpoint>> SqliteStore::LoadCheckpoint(const std::string& name) {
  return ReadWith([&](Connection& db) { return SelectCheckpoint(db, name); });
}

absl::StatusOr<std::string> SqliteStore::LoadCheckpointPart(const std::string& name, const std::string& part,
                                                            int64_t position) {
  return ReadWith([&](Connection& db) { return SelectCheckpointPart(db, name, part, position); });
}

}  // namespace calserve
