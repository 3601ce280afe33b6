#include "server/feedback/sqlite_schema.h"

#include <cstdint>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"

namespace calserve {
namespace {

constexpr int64_t kApplicationId = 0x43414c53;  // "CALS"
constexpr int64_t kSchemaVersion = 7;

// What each version has more than the one before. Times are Unix microseconds. The comments stay in the file,
// for whoever opens it with the sqlite3 command.
constexpr char kVersion1[] = R"sql(
CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE log_head (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  next_position INTEGER NOT NULL,
  last_time INTEGER  -- of the newest row ever; NULL before the first
);

CREATE TABLE served (  -- what predictions were made with, once for all their rows
  id INTEGER PRIMARY KEY,
  model TEXT NOT NULL,
  model_version INTEGER NOT NULL,
  model_digest TEXT NOT NULL,
  calibrator_version INTEGER NOT NULL,  -- 0: plain softmax
  calibrator_digest TEXT NOT NULL,
  UNIQUE (model, model_version, calibrator_version, model_digest, calibrator_digest)
);

CREATE TABLE feedback (
  position INTEGER PRIMARY KEY,  -- dense, in commit order
  time INTEGER NOT NULL,         -- of the commit, never decreasing
  prediction_id BLOB NOT NULL UNIQUE,
  served_id INTEGER NOT NULL REFERENCES served (id),
  issued_at INTEGER NOT NULL,
  label INTEGER NOT NULL,
  predicted_class INTEGER NOT NULL,
  uncalibrated_class INTEGER NOT NULL,
  classes INTEGER NOT NULL,
  confidence REAL,  -- float32, as served; NULL in the three: not a number
  uncalibrated_confidence REAL,
  max_logit REAL,
  source TEXT NOT NULL,
  submitter TEXT NOT NULL,
  attributes BLOB,  -- NULL: none; else varint count, then key and value as varint length and bytes
  logits BLOB       -- NULL: left out; else logits minus max_logit, little-endian float16
);

CREATE TABLE calibrators (
  model TEXT NOT NULL,
  version INTEGER NOT NULL,
  model_version INTEGER NOT NULL,
  digest TEXT NOT NULL,
  content TEXT NOT NULL,
  origin TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('FITTED', 'ACTIVE', 'RETIRED')),
  created INTEGER NOT NULL,
  activated INTEGER,  -- the last time; NULL: never
  PRIMARY KEY (model, version),
  UNIQUE (model, model_version, digest)
);

CREATE TABLE activations (  -- a row for every change of what is active; the newest one holds
  id INTEGER PRIMARY KEY,
  model TEXT NOT NULL,
  model_version INTEGER NOT NULL,
  version INTEGER NOT NULL,   -- 0: plain softmax
  previous INTEGER NOT NULL,
  time INTEGER NOT NULL
);
CREATE INDEX activations_of_model ON activations (model, model_version);

CREATE TABLE checkpoints (
  name TEXT PRIMARY KEY,
  schema_version INTEGER NOT NULL,
  position INTEGER NOT NULL,
  state BLOB NOT NULL
) WITHOUT ROWID;

INSERT INTO log_head VALUES (1, 1, NULL);
INSERT INTO meta VALUES ('deployment_id', lower(hex(randomblob(16))));
)sql";

constexpr char kVersion2[] = R"sql(
CREATE TABLE checkpoint_parts (  -- what belongs to a row of checkpoints and is large
  checkpoint TEXT NOT NULL,
  part TEXT NOT NULL,
  position INTEGER NOT NULL,
  state BLOB NOT NULL,
  PRIMARY KEY (checkpoint, part)
);
)sql";

constexpr char kVersion3[] = R"sql(
CREATE TABLE acknowledgements (  -- alarms that somebody has seen
  model TEXT NOT NULL,
  model_version INTEGER NOT NULL,
  calibrator_version INTEGER NOT NULL,
  position INTEGER NOT NULL,  -- of the log: it is taken back after that row
  time INTEGER NOT NULL,
  PRIMARY KEY (position, model, model_version, calibrator_version)
) WITHOUT ROWID;
)sql";

constexpr char kVersion4[] = R"sql(
ALTER TABLE feedback ADD COLUMN inclusion_probability REAL;  -- NULL: not known
)sql";

constexpr char kVersion5[] = R"sql(
CREATE TABLE slice_acknowledgements (  -- the same of the alarms of slices
  model TEXT NOT NULL,
  model_version INTEGER NOT NULL,
  calibrator_version INTEGER NOT NULL,
  slice_key TEXT NOT NULL,
  slice_value TEXT NOT NULL,
  position INTEGER NOT NULL,
  time INTEGER NOT NULL,
  PRIMARY KEY (position, model, model_version, calibrator_version, slice_key, slice_value)
) WITHOUT ROWID;
)sql";

constexpr char kVersion6[] = R"sql(
ALTER TABLE calibrators ADD COLUMN fit_position INTEGER NOT NULL DEFAULT 0;  -- the fit saw no label after it
ALTER TABLE calibrators ADD COLUMN note TEXT NOT NULL DEFAULT '';  -- why a refit did not activate it
ALTER TABLE activations ADD COLUMN position INTEGER NOT NULL DEFAULT 0;  -- of the last label before
CREATE TABLE refits (  -- attempts to replace an active calibrator, the incumbent
  model TEXT NOT NULL,
  model_version INTEGER NOT NULL,
  incumbent INTEGER NOT NULL,
  attempt INTEGER NOT NULL,  -- of the incumbent, from 1
  kind TEXT NOT NULL CHECK (kind IN ('REFIT', 'ROLLBACK')),
  candidate INTEGER NOT NULL,
  judged_position INTEGER NOT NULL,  -- of the log: no label up to it judges for this incumbent again
  outcome TEXT NOT NULL,
  reason TEXT NOT NULL,
  time INTEGER NOT NULL,
  PRIMARY KEY (model, model_version, incumbent, attempt)
) WITHOUT ROWID;
)sql";

constexpr char kVersion7[] = R"sql(
CREATE TABLE checkpoint_pieces (  -- what belongs to a row of checkpoints and is large
  checkpoint TEXT NOT NULL,
  part TEXT NOT NULL,
  position INTEGER NOT NULL,  -- of one that is not whole yet there are pieces beside those of the one before
  piece INTEGER NOT NULL,     -- from 0: together they are the part's state
  state BLOB NOT NULL,
  PRIMARY KEY (checkpoint, part, position, piece)
);
INSERT INTO checkpoint_pieces SELECT checkpoint, part, position, 0, state FROM checkpoint_parts;
DROP TABLE checkpoint_parts;
)sql";

absl::StatusOr<int64_t> QueryInt(sqlite::Connection& db, absl::string_view sql) {
  ASSIGN_OR_RETURN(const std::string text, db.QueryText(sql));
  int64_t value = 0;
  if (!absl::SimpleAtoi(text, &value)) return absl::InternalError(absl::StrCat(sql, " gave ", text));
  return value;
}

std::string PathOf(const sqlite::Connection& db) { return sqlite3_db_filename(db.get(), "main"); }

// Of the tables that are there, if they are ours; 0 if the database is empty.
absl::StatusOr<int64_t> SchemaVersion(sqlite::Connection& db) {
  ASSIGN_OR_RETURN(const int64_t objects, QueryInt(db, "SELECT count(*) FROM sqlite_schema"));
  if (objects == 0) return 0;
  ASSIGN_OR_RETURN(const int64_t application, QueryInt(db, "PRAGMA application_id"));
  if (application != kApplicationId) {
    return absl::FailedPreconditionError(absl::StrCat(
        "feedback store ", PathOf(db), ": a database of another program; give calserve a file of its own"));
  }
  ASSIGN_OR_RETURN(const int64_t version, QueryInt(db, "PRAGMA user_version"));
  if (version < 1 || version > kSchemaVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "feedback store ", PathOf(db), ": schema version ", version, ", this server knows up to ",
        kSchemaVersion, "; start a newer calserve, or restore a backup from before the upgrade"));
  }
  return version;
}

}  // namespace

absl::StatusOr<sqlite::Connection> OpenWriter(const std::string& path, absl::Duration busy_timeout) {
  ASSIGN_OR_RETURN(sqlite::Connection db,
                   sqlite::Connection::Open(path, SQLITE_OPEN_READWRITE, busy_timeout));
  // SQLite falls back to reading when it may not write.
  if (sqlite3_db_readonly(db.get(), "main") != 0) return sqlite::ToStatus(db.get(), SQLITE_READONLY);
  ASSIGN_OR_RETURN(const std::string mode, db.QueryText("PRAGMA journal_mode = WAL"));
  if (mode != "wal") {
    return absl::FailedPreconditionError(
        absl::StrCat("feedback store ", path, ": its file system does not support a write-ahead log (mode ",
                     mode, "); put it on a local file system"));
  }
  // After a surge the log file shrinks to 64 MiB again. 4,000 pages (16 MiB): fewer checkpoints, each of two
  // syncs.
  RETURN_IF_ERROR(db.Execute(
      "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864; PRAGMA wal_autocheckpoint = 4000; "
      "PRAGMA cache_size = -16384"));
  return db;
}

absl::StatusOr<sqlite::Connection> OpenReader(const std::string& path, absl::Duration busy_timeout) {
  ASSIGN_OR_RETURN(sqlite::Connection db,
                   sqlite::Connection::Open(path, SQLITE_OPEN_READWRITE, busy_timeout));
  RETURN_IF_ERROR(db.Execute("PRAGMA query_only = 1"));
  return db;
}

absl::Status PrepareSchema(sqlite::Connection& db) {
  ASSIGN_OR_RETURN(sqlite::Transaction transaction,
                   sqlite::Transaction::Begin(db, sqlite::Transaction::Kind::kWrite));
  ASSIGN_OR_RETURN(const int64_t version, SchemaVersion(db));
  if (version < 1) RETURN_IF_ERROR(db.Execute(kVersion1));
  if (version < 2) RETURN_IF_ERROR(db.Execute(kVersion2));
  if (version < 3) RETURN_IF_ERROR(db.Execute(kVersion3));
  if (version < 4) RETURN_IF_ERROR(db.Execute(kVersion4));
  if (version < 5) RETURN_IF_ERROR(db.Execute(kVersion5));
  if (version < 6) RETURN_IF_ERROR(db.Execute(kVersion6));
  if (version < 7) RETURN_IF_ERROR(db.Execute(kVersion7));
  if (version < kSchemaVersion) {
    RETURN_IF_ERROR(db.Execute(absl::StrCat("PRAGMA application_id = ", kApplicationId,
                                            "; PRAGMA user_version = ", kSchemaVersion)));
  }
  RETURN_IF_ERROR(db.Execute(
      "INSERT INTO meta VALUES ('starts', '1') ON CONFLICT (key) DO UPDATE SET value = value + 1"));
  return transaction.Commit();
}

absl::StatusOr<std::string> ReadDeploymentId(sqlite::Connection& db) {
  return db.QueryText("SELECT value FROM meta WHERE key = 'deployment_id'");
}

}  // namespace calserve
