#ifndef CALSERVE_SERVER_MONITORING_CALIBRATION_MONITOR_H_
#define CALSERVE_SERVER_MONITORING_CALIBRATION_MONITOR_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "calibration/calibration_alarm.h"
#include "calibration/metrics.h"
#include "calibration/metrics/detailed_metrics.h"
#include "calibration/rolling_windows.h"
#include "server/base/clock.h"
#include "server/feedback/store.h"
#include "server/monitoring/label_arrivals.h"
#include "server/monitoring/label_scoring.h"
#include "server/monitoring/monitor_key.h"
#include "server/monitoring/monitoring_options.h"
#include "server/monitoring/shadow_fold.h"
#include "server/monitoring/slice_table.h"
#include "server/monitoring/window_fold.h"

namespace calserve {

// One window at one point of the log.
struct WindowReport {
  MonitorKey key;
  std::string window;
  int64_t position = 0;        // last label of the log that was folded, of any key
  int64_t label_position = 0;  // last label of this key; 0 where none is held
  absl::Time time;             // of the report; never before the last label's
  CalibrationMetrics served, uncalibrated;
  std::optional<DetailedMetrics> served_details, uncalibrated_details;  // of stored rows, where asked for
  // Of the key, whatever the window.
  AlarmStatus alarm;
  // Of a whole key; of a slice it is not known how many were issued.
  // Predictions issued from then on may be among arrivals.labelled; to the microsecond, as tickets are.
  absl::Time counted_since;
  LabelArrivals::Summary arrivals;
  // How the prediction sets of the key's calibrator hold, one for each of its first thresholds; empty in a
  // decaying window, and where no label with a set was met since the start.
  struct SetCoverage {
    SetThreshold threshold;
    SetCounts counts;
  };
  std::vector<SetCoverage> set_coverage;
  std::optional<WeightedEstimates> weighted;  // unset in a decaying window
  bool catching_up = false;
  bool truncated = false;
  // What a calibrator that never served would have shown on labels after this position; alarm and arrivals
  // say nothing then.
  std::optional<int64_t> shadow_after;
};

// Reports on a key say the same while this stays, but for what ages and catching_up.
struct KeyRevision {
  int64_t label_position = 0;  // of the last label folded; 0 where none is held
  int64_t acknowledgements = 0;
  friend auto operator<=>(const KeyRevision&, const KeyRevision&) = default;
};

// Where the fold stands.
struct MonitorState {
  int64_t position = 0;
  bool catching_up = false;
  int keys = 0;    // whole ones
  int slices = 0;  // of all of them
  int64_t window_bytes = 0;
  int64_t skipped = 0;    // rows with a value out of range, since the start: counted in no window
  absl::Status restored;  // OK, or why the checkpoint was discarded and the log is folded from its first row
  absl::Status log;       // OK, or why the log cannot be read now
  absl::Status checkpoint;  // of the last attempt to write it
};

// Folds the log into windows and alarms, on one thread of its own, and reports on them. Starts from the last
// checkpoint and folds the rows after it; until it is where the log ended at the start, reports say
// catching_up. Windows and alarms are the same to the bit as a fold of the whole log from scratch; arrivals
// are counted in memory alone, from the start. A checkpoint of another schema or other windows is discarded,
// and state() says so. While the store fails the windows stay as they are and the log is tried again, at most
// 5 s apart. Thread-safe. Destruction stops the folder after writing a checkpoint; rows that were not folded
// by then are folded at the next start.
class CalibrationMonitor {
 public:
  // The error of CheckMonitoringOptions; the store's where it cannot be read. `store`, `clock` and what
  // the lookups use outlive the monitor; `lookup` is called from the folder, `alarm_options` (null: the
  // defaults) and `slice_keys` (null: no slices) from any thread.
  static absl::StatusOr<std::unique_ptr<CalibrationMonitor>> Create(
      const MonitoringOptions& options, Store& store, const Clock& clock, CalibratorLookup lookup,
      AlarmOptionsLookup alarm_options = nullptr, SliceKeysLookup slice_keys = nullptr);
  virtual ~CalibrationMonitor() = default;

  // The log has grown; never waits. (FeedbackIngestor's OnCommit.)
  virtual void Notify() = 0;

  // The report of a window now; an empty window where nothing was labelled yet. INVALID_ARGUMENT for a window
  // that is not configured, listing those that are. Intervals are not filled in.
  virtual absl::StatusOr<WindowReport> Report(const MonitorKey& key, const std::string& window) = 0;

  virtual AlarmStatus Alarm(const MonitorKey& key) const = 0;
  virtual LabelArrivals::Summary Arrivals(const MonitorKey& key) const = 0;
  // Takes the alarm of the key back, and returns what it says then; the store has it, so that it holds after
  // any restart. FAILED_PRECONDITION where none is raised; UNAVAILABLE while catching up; the store's error,
  // and nothing is changed. Nothing is folded meanwhile.
  virtual absl::StatusOr<AlarmStatus> AcknowledgeAlarm(const MonitorKey& key) = 0;

  // The slices of the model, in the order of their numbers, and what it is sliced by.
  virtual SliceTable Slices(const std::string& model) const = 0;

  virtual KeyRevision Revision(const MonitorKey& key) const = 0;
  virtual MonitorState state() const = 0;

  // The calibrators that are scored without serving: set once, before the first label is committed; kept up
  // to date with the next fold or Notify. A new one has at first the newest 10,000 labels after its fit.
  virtual void SetShadows(ShadowSource source) = 0;

  // Called after rows were folded or an alarm was acknowledged; must not wait, nor set another. Null for
  // none; the one before is not called any more once this returns.
  virtual void SetOnFold(std::function<void()> on_fold) = 0;

  // Waits until everything up to `position` is folded, at most `timeout`; false if it is not.
  virtual bool WaitForPosition(int64_t position, absl::Duration timeout) = 0;
  // Writes the checkpoint now, if anything was folded since the last. Nothing is folded meanwhile; reports do
  // not wait for it.
  virtual absl::Status SaveCheckpoint() = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_CALIBRATION_MONITOR_H_
