#ifndef CALSERVE_SERVER_MONITORING_WINDOW_FOLD_H_
#define CALSERVE_SERVER_MONITORING_WINDOW_FOLD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "calibration/calibration_alarm.h"
#include "calibration/rolling_windows.h"
#include "server/feedback/scored_label.h"
#include "server/monitoring/latched_alarms.h"
#include "server/monitoring/monitor_key.h"
#include "server/monitoring/slice_keys.h"
#include "server/monitoring/slice_table.h"

namespace calserve {

// The options of a model's alarms, valid ones; nullopt where they are not known. Must not wait.
using AlarmOptionsLookup = std::function<std::optional<AlarmOptions>(const std::string& model)>;

struct WindowFoldConfig {
  std::vector<WindowSpec> windows;
  int bins = kDefaultBins;
  int64_t window_max_labels = 1'000'000;  // of one key
  int max_keys = 256;                     // whole ones, whatever slices they have
  // Of one slice: at least what a last-N window needs, at most window_max_labels.
  int64_t slice_max_labels = 10'000;
  // Asked when a key is new, and at Restore; where they are not known the defaults hold, or those of before.
  AlarmOptionsLookup alarm_options = [](const std::string&) { return std::nullopt; };
  // Asked when a model is new, and at Restore; where they are not known there are none, or those of before.
  SliceKeysLookup slice_keys = [](const std::string&) { return std::nullopt; };

  int64_t SliceBound() const;  // labels that one slice holds
  // Names everything that decides the windows; two folds of the same log agree where this is the same.
  std::string Fingerprint() const;
};

// The windows and the alarm of every key, and of every slice of it: what CalibrationMonitor folds the log
// into. A pure function of the rows folded, in the order of their positions, and of the acknowledgements
// between them: neither time nor reports decide which keys are held. At most max_keys are; the one whose last
// label lies furthest back in the log makes room, and its slices with it. What of their alarms is raised then
// stays (LatchedAlarms), and goes on with the key's next label. Within a key, a report evicts for good what
// is older than a last-T window at its time. A label costs O(windows), and once more for each of its
// attributes that is sliced by. Not thread-safe.
class WindowFold final {
 public:
  static absl::StatusOr<std::unique_ptr<WindowFold>> Create(WindowFoldConfig config);

  // Counts the label at `position` of the log, in the whole `key` and in the slices of its attributes (of an
  // attribute given twice, the first). INVALID_ARGUMENT for a value out of range: it is not counted.
  absl::Status Fold(const MonitorKey& key, int64_t position, const WindowLabel& label,
                    const Attributes& attributes = {});

  // Metrics of window `index` of the key, all zero where it is not held. `now_micros` may lie before the last
  // label, which then decides.
  WindowMetrics Report(const MonitorKey& key, int index, int64_t now_micros);

  // Windows as the key's, without labels.
  absl::StatusOr<std::unique_ptr<RollingWindows>> NewWindows(const MonitorKey& key) const;

  // Lets go of the labels that no last-T window has at `now_micros`, of keys that get no label too.
  void Age(int64_t now_micros);

  // As of the key's last label; of one without labels where neither the key nor a latched alarm is held.
  AlarmStatus Alarm(const MonitorKey& key) const;
  // Takes the alarm of the key back, after the last row folded; false where none is raised.
  bool Acknowledge(const MonitorKey& key, const LogPoint& at);

  // Position of the key's last label; 0 where it is not held.
  int64_t LabelPosition(const MonitorKey& key) const;
  int64_t last_time_micros() const { return last_time_micros_; }
  int keys() const { return whole_keys_; }
  // That made room for others, since this fold was created, although a label of theirs was among the last few
  // (a hundred for each key held): more are in use than are held.
  int64_t dropped_keys() const { return dropped_keys_; }
  int slices() const { return static_cast<int>(keys_.size()) - whole_keys_; }
  int64_t bytes() const;
  // Of the model, also of calibrators that are not held any more.
  SliceTable Slices(const std::string& model) const;

  // The state, in parts: a head, which has the alarms, the latched ones too, and the numbers of slices, and
  // the windows of each key and slice held. While a key's label_position stays, so do its windows, but for
  // what reports evict: what was stored of them before serves as well. Alarms, about 1.3 KB each, are written
  // every time, since an acknowledgement changes them without a label.
  struct HeldKey {
    MonitorKey key;
    int64_t label_position = 0;
  };
  std::vector<HeldKey> held() const;
  std::string SerializeHead() const;
  WindowsState StateOf(const MonitorKey& key) const;  // of one that is held
  // The numbers of slices alone, which must outlive what else is folded: of other windows, or gone damaged.
  // Empty where none has been issued.
  std::string SerializeSlices() const;
  int64_t max_key_bytes() const { return empty_->max_serialized_bytes(); }

  // Back into a fold that was just created; `windows_of` gives the bytes of each key that the head names, or
  // why it cannot. An alarm whose options are not what the lookup says now begins anew; a raised one of the
  // whole model does not where only its share has changed, since there are slices now, or none any more.
  // Slices of a key that is declared otherwise now are dropped. FAILED_PRECONDITION for the state of another
  // configuration, DATA_LOSS for damaged bytes; the fold is empty then.
  absl::Status Restore(absl::string_view head,
                       absl::FunctionRef<absl::StatusOr<std::string>(const HeldKey&)> windows_of);
  // The numbers alone, into a fold that was just created; DATA_LOSS for damaged bytes, and nothing is
  // changed.
  absl::Status RestoreSlices(absl::string_view slices);

 private:
  struct KeyState {
    int64_t label_position = 0;
    std::unique_ptr<RollingWindows> windows;
    CalibrationAlarm alarm;
    // Of a whole key: those of its slices that had a label, by number, and the model's table.
    std::map<int64_t, KeyState*> slices = {};
    SliceTable* table = nullptr;
  };
  using Keys = std::map<MonitorKey, KeyState>;

  WindowFold(WindowFoldConfig config, std::unique_ptr<RollingWindows> empty)
      : config_(std::move(config)), empty_(std::move(empty)), last_(keys_.end()) {}
  int64_t BoundOf(const MonitorKey& key) const;
  CalibrationAlarm NewAlarm(const MonitorKey& key, const SliceTable& table) const;
  // Of a key that is held from now on.
  CalibrationAlarm TakeAlarm(const MonitorKey& key, const SliceTable& table);
  // Whether an alarm that was read has the options that hold now.
  bool GoesOn(const MonitorKey& key, const SliceTable& table, const CalibrationAlarm& alarm) const;
  absl::StatusOr<Keys::iterator> FindOrAdd(const MonitorKey& key);
  absl::Status FoldSlices(Keys::iterator whole, int64_t position, const WindowLabel& label,
                          const Attributes& attributes);
  absl::StatusOr<KeyState*> FindOrAddSlice(Keys::iterator whole, int64_t number);
  // For another key; returns where the last label was of the one that goes.
  int64_t MakeRoom();
  void WriteTables(FoldWriter& writer) const;
  absl::StatusOr<std::map<std::string, SliceTable>> ReadTables(FoldReader& reader) const;
  absl::StatusOr<Keys> ReadKeys(FoldReader& reader) const;  // of the model's tables, without windows
  void Link();

  const WindowFoldConfig config_;
  const std::unique_ptr<RollingWindows> empty_;  // reports on keys that are not held
  std::map<std::string, SliceTable> tables_;     // of every model that had a label
  Keys keys_;                                    // a whole key comes just before its slices
  int whole_keys_ = 0;
  int64_t dropped_keys_ = 0;
  LatchedAlarms latched_;
  Keys::iterator last_;           // most rows are of the key of the row before
  std::vector<int64_t> numbers_;  // scratch
  int64_t last_time_micros_ = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_WINDOW_FOLD_H_
