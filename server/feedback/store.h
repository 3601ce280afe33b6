#ifndef CALSERVE_SERVER_FEEDBACK_STORE_H_
#define CALSERVE_SERVER_FEEDBACK_STORE_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/feedback/scored_label.h"

namespace calserve {

enum class AppendOutcome { kAccepted, kDuplicate, kLabelConflict };

struct LogHead {
  int64_t next_position = 1;
  absl::Time last_time = absl::InfinitePast();
};

// Of the predictions of rows: their attribute `key` is there, and its value is one of `values`, or none of
// them where `excluded`.
struct AttributeRule {
  std::string key;
  std::vector<std::string> values;
  bool excluded = false;
};

// Whether all rules hold. Of an attribute given twice, the first counts.
bool Hold(const std::vector<AttributeRule>& rules, const Attributes& attributes);

// Which rows of the log to read.
struct LogSelection {
  int64_t after_position = 0;                                     // position > after_position
  int64_t before_position = std::numeric_limits<int64_t>::max();  // position < before_position
  std::optional<std::string> model;
  std::optional<int64_t> model_version;
  std::optional<int64_t> calibrator_version;
  absl::Time start = absl::InfinitePast();  // time >= start
  absl::Time end = absl::InfiniteFuture();  // time < end
  std::vector<std::string> sources;         // only these; empty: all
  std::vector<std::string> excluded_sources;
  std::vector<AttributeRule> attributes;  // all of them hold
};

enum class CalibratorState { kFitted, kActive, kRetired };

// A calibrator version as the store keeps it; `content` is the JSON that calibration_io writes.
struct StoredCalibrator {
  std::string model;
  int64_t model_version = 0;
  int64_t version = 0;  // issued by the store: from 1, unique and increasing within the model
  std::string digest;   // hex, of the content; the same content for the same model version is stored once
  std::string content;
  std::string origin;  // "fit" or "shipped"
  CalibratorState state = CalibratorState::kFitted;
  absl::Time created;
  std::optional<absl::Time> activated;  // the last time it became active
  int64_t fit_position = 0;             // of the log: no label after it was seen by the fit
  std::string note;  // why an automatic refit did not activate it; empty where none fitted it
};

// A change of what is active for a model version.
struct CalibratorActivation {
  int64_t version = 0, previous = 0;  // 0: plain softmax
  int64_t position = 0;               // of the last label committed before it
  absl::Time time;
  friend bool operator==(const CalibratorActivation&, const CalibratorActivation&) = default;
};

// An attempt to replace the active calibrator, the incumbent, by another that labels must prove better.
struct RefitAttempt {
  enum class Kind { kRefit, kRollback };  // the candidate is a new fit, or what was active before
  enum class Outcome { kJudging, kActivated, kKept, kSuperseded, kInterrupted };

  std::string model;
  int64_t model_version = 0;
  int64_t incumbent = 0;
  int64_t attempt = 0;  // from 1, of the incumbent, whatever the kind
  Kind kind = Kind::kRefit;
  int64_t candidate = 0;
  int64_t judged_position = 0;  // of the log: no label up to it may judge for this incumbent again
  Outcome outcome = Outcome::kJudging;
  std::string reason;
  absl::Time time;  // to the microsecond
  friend bool operator==(const RefitAttempt&, const RefitAttempt&) = default;
};

// What is kept under a name: a small head, and parts, each written only when it has changed.
struct Checkpoint {
  int32_t schema_version = 0;
  int64_t position = 0;  // everything up to and including it is folded in
  std::string state;     // of the head
};

// Of one part's state, which is in memory while it is written or read.
inline constexpr int64_t kMaxCheckpointPartBytes = 900'000'000;

// A part of a checkpoint that is saved. Its name and position decide what its state says.
struct CheckpointPart {
  std::string name;
  int64_t position = 0;                          // of the last that was folded into it
  std::function<std::string()> state = nullptr;  // null: as the store has it
};

// Somebody has seen the alarm of a calibrator version, or of a slice of its labels: it is taken back after
// the label at `position`.
struct Acknowledgement {
  std::string model;
  int64_t model_version = 0;
  int64_t calibrator_version = 0;
  int64_t position = 0;                          // of the log, whosever label that is
  absl::Time time;                               // to the microsecond
  std::string slice_key = {}, slice_value = {};  // whose alarm; empty: that of all labels
  friend bool operator==(const Acknowledgement&, const Acknowledgement&) = default;
};

// Durable storage of the log of scored labels, of calibrators, of acknowledgements and of checkpoints. One
// writer process; thread-safe. Every method waits for the disk. UNAVAILABLE when the store cannot be written
// or read now (disk full, locked, read-only): nothing is changed then, and a later call may succeed without a
// restart. DATA_LOSS when it is damaged.
class Store {
 public:
  virtual ~Store() = default;

  // Appends in one transaction; when it returns OK the accepted rows are durable, with dense positions in the
  // order given. A prediction id that is there already (in the log or earlier in `labels`) gives kDuplicate
  // for the same label, kLabelConflict for another. `now` stamps the rows, raised to the last time if it is
  // behind. Fills position and time of the accepted ones.
  virtual absl::StatusOr<std::vector<AppendOutcome>> Append(absl::Span<ScoredLabel> labels,
                                                            absl::Time now) = 0;

  virtual absl::StatusOr<LogHead> Head() = 0;
  // At most `limit` rows in the order of position. Both look at every row between the selection's positions
  // until they have enough, and stop for nothing: where few may be selected, log_pages.h has the loop.
  virtual absl::StatusOr<std::vector<ScoredLabel>> Read(const LogSelection& selection, int64_t limit) = 0;
  // The newest `limit` rows, in the order of position.
  virtual absl::StatusOr<std::vector<ScoredLabel>> ReadNewest(const LogSelection& selection,
                                                              int64_t limit) = 0;
  // Deletes rows with time < `before`, the oldest first, a bounded number in one transaction; returns how
  // many: 0 when there are no more (retention.h has the loop). Positions are never reused.
  virtual absl::StatusOr<int64_t> DeleteBefore(absl::Time before) = 0;

  // Stores a calibrator as FITTED and returns it with its version; the stored one, with the later of the two
  // fit_positions, if that digest is there already for the model version.
  virtual absl::StatusOr<StoredCalibrator> AddCalibrator(StoredCalibrator calibrator) = 0;
  // Newest first.
  virtual absl::StatusOr<std::vector<StoredCalibrator>> ListCalibrators(const std::string& model) = 0;
  // Makes `version` the active calibrator of the model version (0: plain softmax) and retires the one before,
  // if `expected_active` (0: plain softmax) still is: else ABORTED naming what is. NOT_FOUND for an unknown
  // version.
  virtual absl::Status ActivateCalibrator(const std::string& model, int64_t model_version, int64_t version,
                                          int64_t expected_active, absl::Time now) = 0;
  // What was active before the present one (0: plain softmax); FAILED_PRECONDITION if none was ever
  // activated. Going back to it is an activation too: doing so twice ends where it began.
  virtual absl::StatusOr<int64_t> PreviousActive(const std::string& model, int64_t model_version) = 0;

  // The newest change of what is active; nullopt where there never was one.
  virtual absl::StatusOr<std::optional<CalibratorActivation>> LastActivation(const std::string& model,
                                                                             int64_t model_version) = 0;

  // Keeps it in the place of what is there of the same incumbent and number; its reason becomes the note of
  // a candidate that never was active.
  virtual absl::Status SaveRefitAttempt(const RefitAttempt& attempt) = 0;
  // At most `limit` of a model version, of one incumbent or of all, the newest first.
  virtual absl::StatusOr<std::vector<RefitAttempt>> ListRefitAttempts(const std::string& model,
                                                                      int64_t model_version,
                                                                      std::optional<int64_t> incumbent,
                                                                      int64_t limit) = 0;

  // Keeps it; one of the same versions, slice and position that is there already stays.
  virtual absl::Status AddAcknowledgement(const Acknowledgement& acknowledgement) = 0;
  // Those at `position` or after, in the order of position.
  virtual absl::StatusOr<std::vector<Acknowledgement>> ListAcknowledgements(int64_t position) = 0;

  // Replaces the checkpoint `name` by that head and exactly those parts; what was there before stays until
  // all of it is written, whatever happens. Parts are written one after the other, in pieces, and other
  // writers wait for one piece at most; a part's `state` is called meanwhile. FAILED_PRECONDITION, and the
  // one before stays, where the store does not have a part without state at its position.
  virtual absl::Status SaveCheckpoint(const std::string& name, const Checkpoint& checkpoint,
                                      absl::Span<const CheckpointPart> parts) = 0;
  // The head; nullopt if there is none.
  virtual absl::StatusOr<std::optional<Checkpoint>> LoadCheckpoint(const std::string& name) = 0;
  // The state of a part at that position; NOT_FOUND if there is none.
  virtual absl::StatusOr<std::string> LoadCheckpointPart(const std::string& name, const std::string& part,
                                                         int64_t position) = 0;

  // A random id made with the store, the same for its life: tickets are bound to it.
  virtual std::string deployment_id() const = 0;
};

struct StoreOptions {
  std::string data_dir = "calserve-data";  // made with mode 0700 if it is not there
  std::string url;                         // empty: SQLite in data_dir; "sqlite:///path/file.db"
  absl::Duration busy_timeout = absl::Milliseconds(250);  // for another process's lock, then UNAVAILABLE
};

// Opens the store. FAILED_PRECONDITION or UNAVAILABLE say what is wrong with the place (read-only, no space,
// locked by another server) and what to do; DATA_LOSS a file that is damaged or no database; UNIMPLEMENTED
// postgresql://.
absl::StatusOr<std::unique_ptr<Store>> OpenStore(const StoreOptions& options);

}  // namespace calserve

#endif  // CALSERVE_SERVER_FEEDBACK_STORE_H_
