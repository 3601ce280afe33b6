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
#include "server/monitoring/monitor_key.h"

namespace calserve {

// The options of a model's alarms, valid ones; nullopt where they are not known. Must not wait.
using AlarmOptionsLookup = std::function<std::optional<AlarmOptions>(const std::string& model)>;

struct WindowFoldConfig {
  std::vector<WindowSpec> windows;
  int bins = kDefaultBins;
  int64_t window_max_labels = 1'000'000;  // of one key
  int max_keys = 24;
  // Asked when a key is new, and at Restore; where they are not known the defaults hold, or those of before.
  AlarmOptionsLookup alarm_options = [](const std::string&) { return std::nullopt; };

  // Names everything that decides the windows; two folds of the same log agree where this is the same.
  std::string Fingerprint() const;
};

// The windows and the alarm of every key: what CalibrationMonitor folds the log into. A pure function of the
// rows folded, in the order of their positions, and of the acknowledgements between them: neither time nor
// reports decide which keys are held. At most max_keys are; the one whose last label lies furthest back in
// the log makes room, and its alarm goes with it. Within a key, a report evicts for good what is older than a
// last-T window at its time. Not thread-safe.
class WindowFold final {
 public:
  static absl::StatusOr<std::unique_ptr<WindowFold>> Create(WindowFoldConfig config);

  // Counts the label at `position` of the log. INVALID_ARGUMENT for a value out of range: it is not counted.
  absl::Status Fold(const MonitorKey& key, int64_t position, const WindowLabel& label);

  // Metrics of window `index` of the key, all zero where it is not held. `now_micros` may lie before the last
  // label, which then decides.
  WindowMetrics Report(const MonitorKey& key, int index, int64_t now_micros);

  // Windows as a key's, without labels.
  absl::StatusOr<std::unique_ptr<RollingWindows>> NewWindows() const;

  // As of the key's last label; of one without labels where it is not held.
  AlarmStatus Alarm(const MonitorKey& key) const;
  // Takes the alarm of the key back, after the last row folded; false where none is raised.
  bool Acknowledge(const MonitorKey& key, const LogPoint& at);

  // Position of the key's last label; 0 where it is not held.
  int64_t LabelPosition(const MonitorKey& key) const;
  int64_t last_time_micros() const { return last_time_micros_; }
  int keys() const { return static_cast<int>(keys_.size()); }
  int64_t bytes() const;

  // The state, in parts: a head, which has the alarms, and the windows of each key held. While a key's
  // label_position stays, so do its windows, but for what reports evict: what was stored of them before
  // serves as well.
  struct HeldKey {
    MonitorKey key;
    int64_t label_position = 0;
  };
  std::vector<HeldKey> held() const;
  std::string SerializeHead() const;
  WindowsState StateOf(const MonitorKey& key) const;  // of one that is held
  int64_t max_key_bytes() const { return empty_->max_serialized_bytes(); }

  // Back into a fold that was just created; `windows_of` gives the bytes of each key that the head names, or
  // why it cannot. An alarm whose options are not what the lookup says now begins anew.
  // FAILED_PRECONDITION for the state of another configuration, DATA_LOSS for damaged bytes; the fold is
  // empty then.
  absl::Status Restore(absl::string_view head,
                       absl::FunctionRef<absl::StatusOr<std::string>(const MonitorKey&)> windows_of);

 private:
  struct KeyState {
    int64_t label_position = 0;
    std::unique_ptr<RollingWindows> windows;
    CalibrationAlarm alarm;
  };
  using Keys = std::map<MonitorKey, KeyState>;

  WindowFold(WindowFoldConfig config, std::unique_ptr<RollingWindows> empty)
      : config_(std::move(config)), empty_(std::move(empty)), last_(keys_.end()) {}
  CalibrationAlarm NewAlarm(const MonitorKey& key) const;
  absl::StatusOr<Keys::iterator> FindOrAdd(const MonitorKey& key);

  const WindowFoldConfig config_;
  const std::unique_ptr<RollingWindows> empty_;  // reports on keys that are not held
  Keys keys_;
  Keys::iterator last_;  // most rows are of the key of the row before
  int64_t last_time_micros_ = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_WINDOW_FOLD_H_
