#include "server/monitoring/calibration_monitor.h"

#include <algorithm>
#include <cstddef>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"
#include "server/base/wake_up.h"
#include "server/monitoring/fold_checkpoint.h"
#include "server/monitoring/folded_log.h"
#include "server/monitoring/shadow_reader.h"
#include "server/monitoring/steady_time.h"
#include "server/monitoring/window_fold.h"

namespace calserve {
namespace {

// Labels folded under the lock at a time, so that a report waits for at most as many.
constexpr size_t kFoldChunk = 256;

// Between attempts to read a log that fails.
constexpr absl::Duration kMinBackoff = absl::Milliseconds(20);
constexpr absl::Duration kMaxBackoff = absl::Seconds(5);

class Monitor final : public CalibrationMonitor {
 public:
  Monitor(const MonitoringOptions& options, Store& store, const Clock& clock, CalibratorLookup lookup)
      : options_(options),
        store_(store),
        clock_(clock),
        lookup_(std::move(lookup)),
        scorer_(lookup_),
        stored_(store) {}
  ~Monitor() override;

  // Restores the checkpoint into `fold`, which was just created, and starts the folder.
  absl::Status Start(std::unique_ptr<WindowFold> fold);

  void Notify() override;
  absl::StatusOr<WindowReport> Report(const MonitorKey& key, const std::string& window) override;
  AlarmStatus Alarm(const MonitorKey& key) const override;
  SliceTable Slices(const std::string& model) const override;
  LabelArrivals::Summary Arrivals(const MonitorKey& key) const override;
  absl::StatusOr<AlarmStatus> AcknowledgeAlarm(const MonitorKey& key) override;
  KeyRevision Revision(const MonitorKey& key) const override;
  MonitorState state() const override;
  void SetShadows(ShadowSource source) override;
  void SetOnFold(std::function<void()> on_fold) override;
  bool WaitForPosition(int64_t position, absl::Duration timeout) override;
  absl::Status SaveCheckpoint() override;

 private:
  void FoldLog();
  // Folds the next rows; whether more may be waiting.
  absl::StatusOr<bool> FoldBatch();
  absl::StatusOr<std::vector<ScoredRow>> Score(const std::vector<ScoredLabel>& rows);
  // Follows the source: lets shadows go, and reads what new ones have missed.
  absl::Status FollowShadows();
  // Changes what is folded, and tells who waits for a position.
  template <typename Change>
  void Advance(Change change);
  // Of keys that were restored, so that they are known before the next label. Where the lookup cannot tell
  // now they come with that label.
  void FindThresholds(const std::vector<WindowFold::HeldKey>& held);
  void RememberThresholds(const MonitorKey& key, absl::Span<const SetThreshold> thresholds);
  void TellFolded();
  void CheckpointIfDue();
  // False once the monitor is being destroyed.
  bool WaitForRows();

  bool checkpoint_pending() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return folded_->position() != checkpointed_;
  }
  bool catching_up() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return folded_->position() < end_at_start_; }

  const MonitoringOptions options_;
  Store& store_;
  const Clock& clock_;
  const absl::Time counted_since_ = absl::FromUnixMicros(absl::ToUnixMicros(clock_.Now()));
  const CalibratorLookup lookup_;
  LabelScorer scorer_;              // Of the folder.
  MonitorKey thresholds_known_of_;  // Of the folder: the key that they were remembered of last.
  absl::Duration next_checkpoint_;  // Of the folder: steady time.
  std::shared_ptr<const ShadowList> shadow_list_;  // Of the folder.

  // Held while rows are folded, and while a checkpoint is written: so all of it is of one position, and an
  // older one never replaces a newer. Before mu_; reports do not take it.
  Mutex fold_mu_;
  FoldCheckpoint stored_ ABSL_GUARDED_BY(fold_mu_);

  mutable Mutex mu_;
  CondVar advanced_;  // for WaitForPosition
  std::unique_ptr<FoldedLog> folded_ ABSL_GUARDED_BY(mu_) ABSL_PT_GUARDED_BY(mu_);
  int64_t end_at_start_ ABSL_GUARDED_BY(mu_) = 0;  // of the log
  int64_t checkpointed_ ABSL_GUARDED_BY(mu_) = 0;  // position of the checkpoint in the store
  absl::Status restored_ ABSL_GUARDED_BY(mu_);
  absl::Status log_ ABSL_GUARDED_BY(mu_);
  absl::Status checkpoint_ ABSL_GUARDED_BY(mu_);

  WakeUp wake_up_;  // Apart from mu_, so that Notify waits for no fold.

  Mutex source_mu_;
  ShadowSource shadow_source_ ABSL_GUARDED_BY(source_mu_);

  Mutex on_fold_mu_;  // Held while it is called.
  std::function<void()> on_fold_ ABSL_GUARDED_BY(on_fold_mu_);

  std::thread folder_;  // Last: joined before anything it reads is destroyed.
};

Monitor::~Monitor() {
  wake_up_.Stop();
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
  if (!restored.ok()) {
    const absl::Status slices = stored_.RestoreSlices(log_end, *fold);
    if (absl::IsUnavailable(slices)) return slices;
  }
  ASSIGN_OR_RETURN(const std::vector<Acknowledgement> acknowledgements,
                   store_.ListAcknowledgements(restored.value_or(0)));
  const std::vector<WindowFold::HeldKey> held = fold->held();
  {
    MutexLock lock(&mu_);
    end_at_start_ = log_end;
    restored_ = restored.status();
    checkpointed_ = restored.value_or(0);
    folded_ = std::make_unique<FoldedLog>(std::move(fold), checkpointed_, acknowledgements, options_.max_keys,
                                          counted_since_);
  }
  FindThresholds(held);
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
      if (!wake_up_.Pause(backoff)) return;
      backoff = std::min(2 * backoff, kMaxBackoff);
      continue;
    }
    backoff = kMinBackoff;
    if (*more ? !wake_up_.Pause(absl::ZeroDuration()) : !WaitForRows()) return;
  }
}

absl::StatusOr<bool> Monitor::FoldBatch() {
  wake_up_.Clear();  // What is appended from here on notifies again.
  RETURN_IF_ERROR(FollowShadows());
  LogSelection after;
  {
    MutexLock lock(&mu_);
    after.after_position = folded_->position();
  }
  ASSIGN_OR_RETURN(const LogHead head, store_.Head());
  if (head.next_position - 1 <= after.after_position) return false;
  ASSIGN_OR_RETURN(const std::vector<ScoredLabel> rows, store_.Read(after, options_.read_batch));
  ASSIGN_OR_RETURN(const std::vector<ScoredRow> scored, Score(rows));
  {
    MutexLock lock(&mu_);
    log_ = absl::OkStatus();  // Before the positions are seen to advance.
  }
  for (size_t i = 0; i < scored.size(); i += kFoldChunk) {
    Advance([&](FoldedLog& folded) { folded.Fold(absl::MakeConstSpan(scored).subspan(i, kFoldChunk)); });
  }
  const bool more = static_cast<int>(rows.size()) == options_.read_batch;
  // Positions that are missing up to the head were deleted by retention.
  if (!more) Advance([&](FoldedLog& folded) { folded.AdvanceTo(head.next_position - 1); });
  TellFolded();
  return more;
}

void Monitor::TellFolded() {
  MutexLock lock(&on_fold_mu_);
  if (on_fold_ != nullptr) on_fold_();
}

absl::StatusOr<std::vector<ScoredRow>> Monitor::Score(const std::vector<ScoredLabel>& rows) {
  std::vector<ScoredRow> scored;
  scored.reserve(rows.size());
  for (const ScoredLabel& row : rows) {
    ASSIGN_OR_RETURN(const WindowLabel label, scorer_.Score(row));
    RememberThresholds(KeyOf(row), scorer_.set_thresholds());
    scored.push_back(
        {KeyOf(row), row.position, label, row.prediction.issued_at, &row.prediction.attributes, {}});
    if (shadow_list_ == nullptr) continue;
    for (const ShadowCalibrator& shadow : *shadow_list_) {
      const MonitorKey& key = shadow.key;
      if (row.position <= shadow.after_position || key.model != row.prediction.model ||
          key.model_version != row.prediction.model_version) {
        continue;
      }
      const std::optional<WindowLabel> as = scorer_.ScoreAs(row, *shadow.calibrator);
      if (as.has_value()) scored.back().shadows.emplace_back(key, *as);
    }
  }
  return scored;
}

void Monitor::SetShadows(ShadowSource source) {
  {
    MutexLock lock(&source_mu_);
    shadow_source_ = std::move(source);
  }
  Notify();
}

absl::Status Monitor::FollowShadows() {
  std::shared_ptr<const ShadowList> list;
  {
    MutexLock lock(&source_mu_);
    if (shadow_source_ != nullptr) list = shadow_source_();
  }
  if (list == shadow_list_) return absl::OkStatus();
  static const ShadowList none;
  const ShadowList& shadows = list == nullptr ? none : *list;
  ShadowList added;
  int64_t position = 0;
  {
    MutexLock lock(&mu_);
    folded_->shadows().KeepOnly(shadows);
    position = folded_->position();
    for (const ShadowCalibrator& shadow : shadows) {
      if (folded_->shadows().Find(shadow.key) == nullptr) added.push_back(shadow);
    }
  }
  for (const ShadowCalibrator& shadow : added) {
    std::unique_ptr<RollingWindows> windows;
    {
      MutexLock lock(&mu_);
      ASSIGN_OR_RETURN(windows, folded_->fold().NewWindows(shadow.key));
    }
    ASSIGN_OR_RETURN(ShadowFold::Entry entry,
                     ReadShadow(store_, scorer_, shadow, std::move(windows), position,
                                [this] { return wake_up_.Pause(absl::ZeroDuration()); }));
    MutexLock lock(&mu_);
    folded_->shadows().Add(std::move(entry));
  }
  shadow_list_ = std::move(list);
  TellFolded();
  return absl::OkStatus();
}

template <typename Change>
void Monitor::Advance(Change change) {
  MutexLock folding(&fold_mu_);
  MutexLock lock(&mu_);
  change(*folded_);
  advanced_.SignalAll();
}

void Monitor::FindThresholds(const std::vector<WindowFold::HeldKey>& held) {
  for (const auto& [key, label_position] : held) {
    if (key.calibrator_version == 0 || !key.slice.whole()) continue;
    const auto calibrator = lookup_(key.model, key.model_version, key.calibrator_version);
    if (calibrator.ok() && *calibrator != nullptr)
      RememberThresholds(key, (*calibrator)->spec().set_thresholds);
  }
}

void Monitor::RememberThresholds(const MonitorKey& key, absl::Span<const SetThreshold> thresholds) {
  if (thresholds.empty() || key == thresholds_known_of_) return;
  thresholds_known_of_ = key;
  MutexLock lock(&mu_);
  folded_->SetThresholds(key, thresholds);
}

void Monitor::CheckpointIfDue() {
  if (SteadyNow() < next_checkpoint_) return;
  {
    MutexLock lock(&mu_);
    folded_->Age(absl::ToUnixMicros(clock_.Now()));
  }
  SaveCheckpoint().IgnoreError();  // state() has it; tried again when the next is due.
  next_checkpoint_ = SteadyNow() + options_.checkpoint_interval;
}

bool Monitor::WaitForRows() {
  absl::Duration checkpoint_due = absl::InfiniteDuration();
  {
    MutexLock lock(&mu_);
    if (checkpoint_pending()) checkpoint_due = next_checkpoint_;
  }
  return wake_up_.Wait(checkpoint_due - SteadyNow());
}

void Monitor::Notify() { wake_up_.Notify(); }

absl::StatusOr<WindowReport> Monitor::Report(const MonitorKey& key, const std::string& window) {
  const auto it = std::find(options_.windows.begin(), options_.windows.end(), window);
  if (it == options_.windows.end()) {
    return absl::InvalidArgumentError(absl::StrCat("no window is called \"", window, "\"; there are ",
                                                   absl::StrJoin(options_.windows, ", ")));
  }
  const int64_t now_micros = absl::ToUnixMicros(clock_.Now());
  MutexLock lock(&mu_);
  WindowReport report =
      folded_->Report(key, static_cast<int>(it - options_.windows.begin()), window, now_micros);
  report.catching_up = catching_up();
  return report;
}

AlarmStatus Monitor::Alarm(const MonitorKey& key) const {
  MutexLock lock(&mu_);
  return folded_->fold().Alarm(key);
}

SliceTable Monitor::Slices(const std::string& model) const {
  MutexLock lock(&mu_);
  return folded_->fold().Slices(model);
}

LabelArrivals::Summary Monitor::Arrivals(const MonitorKey& key) const {
  MutexLock lock(&mu_);
  return folded_->Arrivals(key);
}

absl::StatusOr<AlarmStatus> Monitor::AcknowledgeAlarm(const MonitorKey& key) {
  AlarmStatus status;
  {
    MutexLock folding(&fold_mu_);  // So that it comes after the same label as when it is replayed.
    Acknowledgement at{key.model, key.model_version, key.calibrator_version};
    at.slice_key = key.slice.key;
    at.slice_value = key.slice.value;
    at.time = absl::FromUnixMicros(absl::ToUnixMicros(clock_.Now()));
    {
      MutexLock lock(&mu_);
      at.position = folded_->position();
      if (catching_up()) {
        return absl::UnavailableError(absl::StrCat(
            "the monitor has read ", at.position, " of the ", end_at_start_,
            " labels that were there at the start, and knows only then what there is to acknowledge; retry"));
      }
      RETURN_IF_ERROR(folded_->CheckAcknowledgeable(key));
    }
    RETURN_IF_ERROR(store_.AddAcknowledgement(at));
    MutexLock lock(&mu_);
    folded_->Acknowledge(at);
    status = folded_->fold().Alarm(key);
  }
  TellFolded();
  return status;
}

KeyRevision Monitor::Revision(const MonitorKey& key) const {
  MutexLock lock(&mu_);
  return folded_->Revision(key);
}

MonitorState Monitor::state() const {
  MutexLock lock(&mu_);
  MonitorState state;
  const WindowFold& fold = folded_->fold();
  state.position = folded_->position();
  state.catching_up = catching_up();
  state.keys = fold.keys();
  state.slices = fold.slices();
  state.dropped_keys = fold.dropped_keys();
  state.window_bytes = fold.bytes();
  state.skipped = folded_->skipped();
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
  while (folded_->position() < position) {
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
    const WindowFold& fold = folded_->fold();
    head = {folded_->position(), fold.SerializeHead(), fold.SerializeSlices(), fold.held()};
  }
  const absl::Status status = stored_.Save(head, [this](const MonitorKey& key) {
    MutexLock lock(&mu_);
    return folded_->fold().StateOf(key);
  });
  MutexLock lock(&mu_);
  checkpoint_ = status;
  if (status.ok()) checkpointed_ = head.position;
  return status;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CalibrationMonitor>> CalibrationMonitor::Create(
    const MonitoringOptions& options, Store& store, const Clock& clock, CalibratorLookup lookup,
    AlarmOptionsLookup alarm_options, SliceKeysLookup slice_keys) {
  ASSIGN_OR_RETURN(std::unique_ptr<WindowFold> fold,
                   NewWindowFold(options, std::move(alarm_options), std::move(slice_keys)));
  auto monitor = std::make_unique<Monitor>(options, store, clock, std::move(lookup));
  RETURN_IF_ERROR(monitor->Start(std::move(fold)));
  return monitor;
}

}  // namespace calserve
