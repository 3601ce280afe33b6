#include "server/monitoring/calibration_monitor.h"

#include <algorithm>
#include <cstddef>
#include <deque>
#include <map>
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

// Labels before its first one that a new shadow is scored on, the newest: some 50 ms.
constexpr int64_t kShadowRows = 10'000;

struct ScoredRow {
  MonitorKey key;
  int64_t position = 0;
  WindowLabel label;
  absl::Time issued_at;
  const Attributes* attributes = nullptr;                   // of the row that was read
  std::vector<std::pair<MonitorKey, WindowLabel>> shadows;  // what others would have said
};

// What the counts of a window's sets are of.
std::vector<WindowReport::SetCoverage> CoverageOf(absl::Span<const SetThreshold> thresholds,
                                                  const WindowMetrics& metrics) {
  std::vector<WindowReport::SetCoverage> coverage;
  for (size_t slot = 0; slot < std::min<size_t>(thresholds.size(), LabelExtras::kSets); ++slot) {
    if (metrics.sets[slot].n > 0) coverage.push_back({thresholds[slot], metrics.sets[slot]});
  }
  return coverage;
}

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
  absl::StatusOr<ShadowFold::Entry> ReadShadow(const ShadowCalibrator& shadow, int64_t position);
  void Fold(absl::Span<const ScoredRow> rows);
  void AdvanceTo(int64_t position);
  // Those that the store has, up to that position.
  void ReplayAcknowledgements(int64_t position) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CountArrival(const ScoredRow& row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Of keys that were restored, so that they are known before the next label. Where the lookup cannot tell
  // now they come with that label.
  void FindThresholds(const std::vector<WindowFold::HeldKey>& held);
  void RememberThresholds(const MonitorKey& key, absl::Span<const SetThreshold> thresholds);
  // Empty where none are known.
  absl::Span<const SetThreshold> ThresholdsOf(const MonitorKey& key) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TellFolded();
  void CheckpointIfDue();
  // False once the monitor is being destroyed.
  bool WaitForRows();
  bool Pause(absl::Duration duration);

  bool checkpoint_pending() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return position_ != checkpointed_; }

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
  std::unique_ptr<WindowFold> fold_ ABSL_GUARDED_BY(mu_) ABSL_PT_GUARDED_BY(mu_);
  std::deque<Acknowledgement> to_replay_ ABSL_GUARDED_BY(mu_);  // from before the start; by position
  int64_t position_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t end_at_start_ ABSL_GUARDED_BY(mu_) = 0;  // of the log
  int64_t checkpointed_ ABSL_GUARDED_BY(mu_) = 0;  // position of the checkpoint in the store
  std::map<MonitorKey, LabelArrivals> arrivals_ ABSL_GUARDED_BY(mu_);  // of keys that are held
  // That counts of sets are of, of keys that are held; a calibrator version's never change.
  std::map<MonitorKey, std::vector<SetThreshold>> thresholds_ ABSL_GUARDED_BY(mu_);
  ShadowFold shadows_ ABSL_GUARDED_BY(mu_);
  int64_t skipped_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status restored_ ABSL_GUARDED_BY(mu_);
  absl::Status log_ ABSL_GUARDED_BY(mu_);
  absl::Status checkpoint_ ABSL_GUARDED_BY(mu_);

  Mutex wake_mu_;  // Apart from mu_, so that Notify waits for no fold.
  CondVar wake_;   // for the folder
  bool notified_ ABSL_GUARDED_BY(wake_mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(wake_mu_) = false;

  Mutex source_mu_;
  ShadowSource shadow_source_ ABSL_GUARDED_BY(source_mu_);

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
  if (!restored.ok()) {
    const absl::Status slices = stored_.RestoreSlices(log_end, *fold);
    if (absl::IsUnavailable(slices)) return slices;
  }
  ASSIGN_OR_RETURN(const std::vector<Acknowledgement> acknowledgements,
                   store_.ListAcknowledgements(restored.value_or(0)));
  const std::vector<WindowFold::HeldKey> held = fold->held();
  {
    MutexLock lock(&mu_);
    fold_ = std::move(fold);
    end_at_start_ = log_end;
    restored_ = restored.status();
    position_ = checkpointed_ = restored.value_or(0);
    to_replay_.assign(acknowledgements.begin(), acknowledgements.end());
    ReplayAcknowledgements(position_);
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
  RETURN_IF_ERROR(FollowShadows());
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
    shadows_.KeepOnly(shadows);
    position = position_;
    for (const ShadowCalibrator& shadow : shadows) {
      if (shadows_.Find(shadow.key) == nullptr) added.push_back(shadow);
    }
  }
  for (const ShadowCalibrator& shadow : added) {
    ASSIGN_OR_RETURN(ShadowFold::Entry entry, ReadShadow(shadow, position));
    MutexLock lock(&mu_);
    shadows_.Add(std::move(entry));
  }
  shadow_list_ = std::move(list);
  TellFolded();
  return absl::OkStatus();
}

absl::StatusOr<ShadowFold::Entry> Monitor::ReadShadow(const ShadowCalibrator& shadow, int64_t position) {
  ShadowFold::Entry entry;
  entry.shadow = shadow;
  {
    MutexLock lock(&mu_);
    ASSIGN_OR_RETURN(entry.windows, fold_->NewWindows(shadow.key));
  }
  LogSelection selection;
  selection.after_position = shadow.after_position;
  selection.model = shadow.key.model;
  selection.model_version = shadow.key.model_version;
  ASSIGN_OR_RETURN(const std::vector<ScoredLabel> rows, store_.ReadNewest(selection, kShadowRows));
  entry.truncated = static_cast<int64_t>(rows.size()) == kShadowRows;
  for (const ScoredLabel& row : rows) {
    if (row.position > position) break;  // Folded with the others.
    const std::optional<WindowLabel> label = scorer_.ScoreAs(row, *shadow.calibrator);
    if (!label.has_value() || !entry.windows->Push(*label).ok()) continue;
    entry.label_position = row.position;
  }
  return entry;
}

void Monitor::Fold(absl::Span<const ScoredRow> rows) {
  MutexLock folding(&fold_mu_);
  MutexLock lock(&mu_);
  for (const ScoredRow& row : rows) {
    ReplayAcknowledgements(row.position - 1);
    const bool counted = fold_->Fold(row.key, row.position, row.label, *row.attributes).ok();
    if (counted) CountArrival(row);
    skipped_ += counted ? 0 : 1;
    for (const auto& [key, label] : row.shadows) {
      ShadowFold::Entry* const shadow = shadows_.Find(key);
      if (shadow != nullptr && shadow->windows->Push(label).ok()) shadow->label_position = row.position;
    }
  }
  position_ = rows.back().position;
  ReplayAcknowledgements(position_);
  advanced_.SignalAll();
}

void Monitor::CountArrival(const ScoredRow& row) {
  const absl::Duration delay = absl::FromUnixMicros(row.label.time_micros) - row.issued_at;
  arrivals_[row.key].Add(row.label.served.confidence, delay, row.issued_at >= counted_since_);
  if (static_cast<int>(arrivals_.size()) <= options_.max_keys) return;
  std::erase_if(arrivals_, [this](const auto& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return fold_->LabelPosition(key.first) == 0;  // It made room.
  });
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
  if (thresholds_.size() >= 2 * static_cast<size_t>(options_.max_keys)) {
    std::erase_if(thresholds_, [this](const auto& known) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return fold_->LabelPosition(known.first) == 0;  // It made room.
    });
  }
  const absl::Span<const SetThreshold> counted = thresholds.subspan(0, LabelExtras::kSets);
  thresholds_.insert_or_assign(key, std::vector<SetThreshold>(counted.begin(), counted.end()));
}

absl::Span<const SetThreshold> Monitor::ThresholdsOf(const MonitorKey& key) const {
  const ShadowFold::Entry* const shadow = shadows_.Find(key);
  if (shadow != nullptr) return shadow->shadow.calibrator->spec().set_thresholds;
  const auto known = thresholds_.find({key.model, key.model_version, key.calibrator_version});
  return known == thresholds_.end() ? absl::Span<const SetThreshold>() : known->second;
}

void Monitor::ReplayAcknowledgements(int64_t position) {
  for (; !to_replay_.empty() && to_replay_.front().position <= position; to_replay_.pop_front()) {
    const Acknowledgement& at = to_replay_.front();
    fold_->Acknowledge({at.model, at.model_version, at.calibrator_version, {at.slice_key, at.slice_value}},
                       {at.position, absl::ToUnixMicros(at.time)});
  }
}

void Monitor::AdvanceTo(int64_t position) {
  MutexLock folding(&fold_mu_);
  MutexLock lock(&mu_);
  position_ = std::max(position_, position);
  ReplayAcknowledgements(position_);
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
  const int window_index = static_cast<int>(it - options_.windows.begin());
  ShadowFold::Entry* const shadow = shadows_.Find(key);
  WindowMetrics metrics = shadow != nullptr ? shadow->windows->Report(window_index, now_micros)
                                            : fold_->Report(key, window_index, now_micros);
  report.position = position_;
  report.label_position = shadow != nullptr ? shadow->label_position : fold_->LabelPosition(key);
  if (shadow != nullptr) report.shadow_after = shadow->shadow.after_position;
  report.alarm = fold_->Alarm(key);
  report.counted_since = counted_since_;
  const auto arrivals = arrivals_.find(key);
  if (arrivals != arrivals_.end()) report.arrivals = arrivals->second.summary();
  report.time = absl::FromUnixMicros(now_micros);
  report.set_coverage = CoverageOf(ThresholdsOf(key), metrics);
  report.weighted = metrics.weighted;
  report.served = std::move(metrics.served);
  report.uncalibrated = std::move(metrics.uncalibrated);
  report.catching_up = position_ < end_at_start_;
  report.truncated = metrics.truncated || (shadow != nullptr && shadow->truncated);
  return report;
}

AlarmStatus Monitor::Alarm(const MonitorKey& key) const {
  MutexLock lock(&mu_);
  return fold_->Alarm(key);
}

SliceTable Monitor::Slices(const std::string& model) const {
  MutexLock lock(&mu_);
  return fold_->Slices(model);
}

LabelArrivals::Summary Monitor::Arrivals(const MonitorKey& key) const {
  MutexLock lock(&mu_);
  const auto arrivals = arrivals_.find(key);
  return arrivals == arrivals_.end() ? LabelArrivals::Summary() : arrivals->second.summary();
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
      at.position = position_;
      if (position_ < end_at_start_) {
        return absl::UnavailableError(absl::StrCat(
            "the monitor has read ", position_, " of the ", end_at_start_,
            " labels that were there at the start, and knows only then what there is to acknowledge; retry"));
      }
      if (!fold_->Alarm(key).raised.has_value()) {
        return absl::FailedPreconditionError(
            absl::StrCat("model '", key.model, "' version ", key.model_version, " calibrator ",
                         key.calibrator_version, key.slice.whole() ? "" : " slice ", key.slice.key,
                         key.slice.whole() ? "" : "=", key.slice.value, " has no alarm to acknowledge"));
      }
    }
    RETURN_IF_ERROR(store_.AddAcknowledgement(at));
    MutexLock lock(&mu_);
    fold_->Acknowledge(key, {at.position, absl::ToUnixMicros(at.time)});
    status = fold_->Alarm(key);
  }
  TellFolded();
  return status;
}

KeyRevision Monitor::Revision(const MonitorKey& key) const {
  MutexLock lock(&mu_);
  const ShadowFold::Entry* const shadow = shadows_.Find(key);
  if (shadow != nullptr) return {shadow->label_position, 0};
  return {fold_->LabelPosition(key), fold_->Alarm(key).acknowledgements};
}

MonitorState Monitor::state() const {
  MutexLock lock(&mu_);
  MonitorState state;
  state.position = position_;
  state.catching_up = position_ < end_at_start_;
  state.keys = fold_->keys();
  state.slices = fold_->slices();
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
    head = {position_, fold_->SerializeHead(), fold_->SerializeSlices(), fold_->held()};
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
