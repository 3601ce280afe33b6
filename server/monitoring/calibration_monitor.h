#ifndef CALSERVE_SERVER_MONITORING_CALIBRATION_MONITOR_H_
#define CALSERVE_SERVER_MONITORING_CALIBRATION_MONITOR_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "calibration/calibration_alarm.h"
#include "server/base/clock.h"
#include "server/feedback/store.h"
#include "server/monitoring/label_arrivals.h"
#include "server/monitoring/label_scoring.h"
#include "server/monitoring/monitor_key.h"
#include "server/monitoring/monitoring_options.h"
#include "server/monitoring/shadow_fold.h"
#include "server/monitoring/slice_table.h"
#include "server/monitoring/window_fold.h"
#include "server/monitoring/window_report.h"

namespace calserve {

// Where the fold stands.
struct MonitorState {
  int64_t position = 0;
  bool catching_up = false;
  int keys = 0;              // whole ones
  int slices = 0;            // of all of them
  int64_t dropped_keys = 0;  // that made room for others, since the start
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
