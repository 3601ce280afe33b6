#include "server/monitoring/calibration_monitor.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"
#include "server/monitoring/fold_checkpoint.h"
#include "server/monitoring/steady_time.h"
#include "server/monitoring/window_fold.h"

namespace calserve {
namespace {

// Labels folded under the lock at a time, so that a report waits for at most as many.
constexpr size_t kFoldChunk = 256;

// Between attempts to read a log that fails.
constexpr absl::Duration kMinBackoff = absl::Milliseconds(20);
constexpr absl::Duration kMaxBackoff = absl::Seconds(5);

struct ScoredRow {
  MonitorKey key;
  int64_t position = 0;
  WindowLabel label;
};

class Monitor final : public CalibrationMonitor {
 public:
  Monitor(const MonitoringOptions& options, Store& store, const Clock& clock, CalibratorLookup lookup)
      : options_(options), store_(store), clock_(clock), scorer_(std::move(lookup)), stored_(store) {}
  ~Monitor() override;

  // Restores the checkpoint into `fold`, which was just created, and starts the folder.
  absl::Status Start(std::unique_ptr<WindowFold> fold);

  void Notify() override;
  absl::StatusOr<WindowReport> Report(const MonitorKey& key, const std::string& window) override;
  int64_t LabelPosition(const MonitorKey& key) const override;
  MonitorState state() const override;
  void SetOnFold(std::function<void()> on_fold) override;
  bool WaitForPosition(int64_t position, absl::Duration timeout) override;
  absl::Status SaveCheckpoint() override;

 private:
  void FoldLog();
  // Folds the next rows; whether more may be waiting.
  absl::StatusOr<bool> FoldBatch();
  absl::StatusOr<std::vector<ScoredRow>> Score(const std::vector<ScoredLabel>& rows);
  void Fold(absl::Span<const ScoredRow> rows);
  void AdvanceTo(int64_t position);
  void CheckpointIfDue();
  // False once the monitor is being destroyed.
  bool WaitForRows();
  bool Pause(absl::Duration duration);

  bool checkpoint_pending() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return position_ != checkpointed_; }

  const MonitoringOptions options_;
  Store& store_;
  const Clock& clock_;
  LabelScorer scorer_;              // Of the folder.
  absl::Duration next_checkpoint_;  // Of the folder: steady time.

  // Held while rows are folded, and while a checkpoint is written: so all of it is of one position, and an
  // older one never replaces a newer. Before mu_; reports do not take it.
  Mutex fold_mu_;
  FoldCheckpoint stored_ ABSL_GUARDED_BY(fold_mu_);

  mutable Mutex mu_;
  CondVar advanced_;  // for WaitForPosition
  std::unique_ptr<WindowFold> fold_ ABSL_GUARDED_BY(mu_) ABSL_PT_GUARDED_BY(mu_);
  int64_t position_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t end_at_start_ ABSL_GUARDED_BY(mu_) = 0;  // of the log
  int64_t checkpointed_ ABSL_GUARDED_BY(mu_) = 0;  // position of the checkpoint in the store
  int64_t skipped_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status restored_ ABSL_GUARDED_BY(mu_);
  absl::Status log_ ABSL_GUARDED_BY(mu_);
  absl::Status checkpoint_ ABSL_GUARDED_BY(mu_);

  Mutex wake_mu_;  // Apart from mu_, so that Notify waits for no fold.
  CondVar wake_;   // for the folder
  bool notified_ ABSL_GUARDED_BY(wake_mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(wake_mu_) = false;

  Mutex on_fold_mu_;  // Held while it is called.
  std::function<void()> on_fold_ ABSL_GUARDED_BY(on_fold_mu_);

  std::thread folder_;  // Last: joined before anything it reads is destroyed.
};

Monitor::~Monitor() {
  {
    MutexLock lock(&wake_mu_);
    stopping_ = true;
    wake_.Signal();
  }
  if (!folder_.joinable()) return;
  folder_.join();
  SaveCheckpoint().IgnoreError();  // Without it the next start folds more rows again.
}

absl::Status Monitor::Start(std::unique_ptr<WindowFold> fold) {
  MutexLock folding(&fold_mu_);
  ASSIGN_OR_RETURN(const LogHead head, store_.Head());
  const int64_t log_end = head.next_position - 1;
  // A damaged checkpoint costs a fold from scratch; a store that cannot be read now is the caller's to know.
  const absl::StatusOr<int64_t> restored = stored_.Restore(log_end, *fold);
  if (absl::IsUnavailable(restored.status())) return restored.status();
  {
    MutexLock lock(&mu_);
    fold_ = std::move(fold);
    end_at_start_ = log_end;
    restored_ = restored.status();
    position_ = checkpointed_ = restored.value_or(0);
  }
  next_checkpoint_ = SteadyNow() + options_.checkpoint_interval;
  folder_ = std::thread([this] { FoldLog(); });
  return absl::OkStatus();
}

void Monitor::FoldLog() {
  absl::Duration backoff = kMinBackoff;
  while (true) {
    const absl::StatusOr<bool> more = FoldBatch();
    {
      MutexLock lock(&mu_);
      log_ = more.status();
    }
    CheckpointIfDue();
    if (!more.ok()) {
      if (!Pause(backoff)) return;
      backoff = std::min(2 * backoff, kMaxBackoff);
      continue;
    }
    backoff = kMinBackoff;
    if (*more ? !Pause(absl::ZeroDuration()) : !WaitForRows()) return;
  }
}

absl::StatusOr<bool> Monitor::FoldBatch() {
  {
    MutexLock lock(&wake_mu_);
    notified_ = false;  // What is appended from here on notifies again.
  }
  LogSelection after;
  {
    MutexLock lock(&mu_);
    after.after_position = position_;
  }
  ASSIGN_OR_RETURN(const LogHead head, store_.Head());
  if (head.next_position - 1 <= after.after_position) return false;
  ASSIGN_OR_RETURN(const std::vector<ScoredLabel> rows, store_.Read(after, options_.read_batch));
  ASSIGN_OR_RETURN(const std::vector<ScoredRow> scored, Score(rows));
  {
    MutexLock lock(&mu_);
    log_ = absl::OkStatus();  // Before the positions are seen to advance.
  }
  for (size_t i = 0; i < scored.size(); i += kFoldChunk) Fold(absl::MakeSpan(scored).subspan(i, kFoldChunk));
  const bool more = static_cast<int>(rows.size()) == options_.read_batch;
  // Positions that are missing up to the head were deleted by retention.
  if (!more) AdvanceTo(head.next_position - 1);
  MutexLock lock(&on_fold_mu_);
  if (on_fold_ != nullptr) on_fold_();
  return more;
}

absl::StatusOr<std::vector<ScoredRow>> Monitor::Score(const std::vector<ScoredLabel>& rows) {
  std::vector<ScoredRow> scored;
  scored.reserve(rows.size());
  for (const ScoredLabel& row : rows) {
    ASSIGN_OR_RETURN(const WindowLabel label, scorer_.Score(row));
    scored.push_back({KeyOf(row), row.position, label});
  }
  return scored;
}

void Monitor::Fold(absl::Span<const ScoredRow> rows) {
  MutexLock folding(&fold_mu_);
  MutexLock lock(&mu_);
  for (const ScoredRow& row : rows) {
    if (!fold_->Fold(row.key, row.position, row.label).ok()) ++skipped_;
  }
  position_ = rows.back().position;
  advanced_.SignalAll();
}

void Monitor::AdvanceTo(int64_t position) {
  MutexLock folding(&fold_mu_);
  MutexLock lock(&mu_);
  position_ = std::max(position_, position);
  advanced_.SignalAll();
}

void Monitor::CheckpointIfDue() {
  if (SteadyNow() < next_checkpoint_) return;
  SaveCheckpoint().IgnoreError();  // state() has it; tried again when the next is due.
  next_checkpoint_ = SteadyNow() + options_.checkpoint_interval;
}

bool Monitor::WaitForRows() {
  absl::Duration checkpoint_due = absl::InfiniteDuration();
  {
    MutexLock lock(&mu_);
    if (checkpoint_pending()) checkpoint_due = next_checkpoint_;
  }
  MutexLock lock(&wake_mu_);
  while (!stopping_ && !notified_) {
    const absl::Duration left = checkpoint_due - SteadyNow();
    if (left <= absl::ZeroDuration()) break;
    wake_.WaitFor(&wake_mu_, left);
  }
  return !stopping_;
}

bool Monitor::Pause(absl::Duration duration) {
  const absl::Duration end = SteadyNow() + duration;
  MutexLock lock(&wake_mu_);
  for (absl::Duration left = duration; !stopping_ && left > absl::ZeroDuration(); left = end - SteadyNow()) {
    wake_.WaitFor(&wake_mu_, left);
  }
  return !stopping_;
}

void Monitor::Notify() {
  MutexLock lock(&wake_mu_);
  notified_ = true;
  wake_.Signal();
}

absl::StatusOr<WindowReport> Monitor::Report(const MonitorKey& key, const std::string& window) {
  const auto it = std::find(options_.windows.begin(), options_.windows.end(), window);
  if (it == options_.windows.end()) {
    return absl::InvalidArgumentError(absl::StrCat("no window is called \"", window, "\"; there are ",
                                                   absl::StrJoin(options_.windows, ", ")));
  }
  WindowReport report;
  report.key = key;
  report.window = window;
  const int64_t clock_micros = absl::ToUnixMicros(clock_.Now());
  MutexLock lock(&mu_);
  const int64_t now_micros = std::max(clock_micros, fold_->last_time_micros());
  WindowMetrics metrics = fold_->Report(key, static_cast<int>(it - options_.windows.begin()), now_micros);
  report.position = position_;
  report.label_position = fold_->LabelPosition(key);
  report.time = absl::FromUnixMicros(now_micros);
  report.served = std::move(metrics.served);
  report.uncalibrated = std::move(metrics.uncalibrated);
  report.catching_up = position_ < end_at_start_;
  report.truncated = metrics.truncated;
  return report;
}

int64_t Monitor::LabelPosition(const MonitorKey& key) const {
  MutexLock lock(&mu_);
  return fold_->LabelPosition(key);
}

MonitorState Monitor::state() const {
  MutexLock lock(&mu_);
  MonitorState state;
  state.position = position_;
  state.catching_up = position_ < end_at_start_;
  state.keys = fold_->keys();
  state.window_bytes = fold_->bytes();
  state.skipped = skipped_;
  state.restored = restored_;
  state.log = log_;
  state.checkpoint = checkpoint_;
  return state;
}

void Monitor::SetOnFold(std::function<void()> on_fold) {
  MutexLock lock(&on_fold_mu_);
  on_fold_ = std::move(on_fold);
}

bool Monitor::WaitForPosition(int64_t position, absl::Duration timeout) {
  const absl::Duration end = SteadyNow() + timeout;
  MutexLock lock(&mu_);
  while (position_ < position) {
    const absl::Duration left = end - SteadyNow();
    if (left <= absl::ZeroDuration()) return false;
    advanced_.WaitFor(&mu_, left);
  }
  return true;
}

absl::Status Monitor::SaveCheckpoint() {
  MutexLock folding(&fold_mu_);
  FoldCheckpoint::Head head;
  {
    MutexLock lock(&mu_);
    if (!checkpoint_pending()) return absl::OkStatus();
    head = {position_, fold_->SerializeHead(), fold_->held()};
  }
  const absl::Status status = stored_.Save(head, [this](const MonitorKey& key) {
    MutexLock lock(&mu_);
    return fold_->StateOf(key);
  });
  MutexLock lock(&mu_);
  checkpoint_ = status;
  if (status.ok()) checkpointed_ = head.position;
  return status;
}

absl::Status CheckKeyBytes(const MonitoringOptions& options, const WindowFold& fold) {
  if (fold.max_key_bytes() <= kMaxCheckpointRowBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "window_max_labels = ", options.window_max_labels,
      " with windows = ", absl::StrJoin(options.windows, ","), " takes up to ", fold.max_key_bytes(),
      " bytes a key, of which the store keeps at most ", kMaxCheckpointRowBytes,
      " in a row: lower window_max_labels or the labels of windows, at 32 bytes a label"));
}

// A fold from scratch, if the options can be kept to.
absl::StatusOr<std::unique_ptr<WindowFold>> NewFold(const MonitoringOptions& options) {
  if (options.windows.empty()) return absl::InvalidArgumentError("windows must name at least one window");
  const std::set<std::string> names(options.windows.begin(), options.windows.end());
  if (names.size() != options.windows.size())
    return absl::InvalidArgumentError("windows must differ in name");
  if (options.checkpoint_interval <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat("checkpoint_interval must be > 0; was ",
                                                   absl::FormatDuration(options.checkpoint_interval)));
  }
  if (options.read_batch < 1) {
    return absl::InvalidArgumentError(absl::StrCat("read_batch must be >= 1; was ", options.read_batch));
  }
  WindowFoldConfig config;
  for (const std::string& name : options.windows) {
    ASSIGN_OR_RETURN(WindowSpec window, WindowSpec::Parse(name));
    config.windows.push_back(std::move(window));
  }
  config.bins = options.bins;
  config.window_max_labels = options.window_max_labels;
  config.max_keys = options.max_keys;
  ASSIGN_OR_RETURN(std::unique_ptr<WindowFold> fold, WindowFold::Create(std::move(config)));
  RETURN_IF_ERROR(CheckKeyBytes(options, *fold));
  return fold;
}

}  // namespace

absl::Status CheckMonitoringOptions(const MonitoringOptions& options) { return NewFold(options).status(); }

absl::StatusOr<std::unique_ptr<CalibrationMonitor>> CalibrationMonitor::Create(
    const MonitoringOptions& options, Store& store, const Clock& clock, CalibratorLookup lookup) {
  ASSIGN_OR_RETURN(std::unique_ptr<WindowFold> fold, NewFold(options));
  auto monitor = std::make_unique<Monitor>(options, store, clock, std::move(lookup));
  RETURN_IF_ERROR(monitor->Start(std::move(fold)));
  return monitor;
}

}  // namespace calserve
