#ifndef CALSERVE_SERVER_MONITORING_CALIBRATION_MONITOR_H_
#define CALSERVE_SERVER_MONITORING_CALIBRATION_MONITOR_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "calibration/metrics.h"
#include "calibration/rolling_windows.h"
#include "server/base/clock.h"
#include "server/feedback/store.h"

namespace calserve {

// Whose labels a window counts.
struct MonitorKey {
  std::string model;
  int64_t model_version = 0;
  int64_t calibrator_version = 0;
  friend auto operator<=>(const MonitorKey&, const MonitorKey&) = default;
};

// One window at one point of the log.
struct WindowReport {
  MonitorKey key;
  std::string window;
  int64_t position = 0;  // last label of the log that was folded, of any key
  absl::Time time;       // of the report
  CalibrationMetrics served, uncalibrated;
  bool catching_up = false;
  bool truncated = false;
};

struct MonitoringOptions {
  std::vector<std::string> windows = {"last_1000", "last_10000", "last_1h", "last_24h", "decay_1h"};
  int bins = kDefaultBins;
  int64_t window_max_labels = 1'000'000;               // of one key's ring, 32 bytes each
  int max_keys = 64;                                   // (model, version, calibrator version) held; the one longest
                                                       // without a label goes first
  absl::Duration checkpoint_interval = absl::Minutes(1);
  int read_batch = 4096;                               // rows read from the log at a time
};

// Folds the log into windows, on one thread of its own, and reports on them. Starts from the last checkpoint and
// folds the rows after it; until then reports say catching_up. Windows are the same to the bit as a fold of the
// whole log from scratch. Thread-safe. Destruction stops the folder after writing a checkpoint.
class CalibrationMonitor {
 public:
  static absl::StatusOr<std::unique_ptr<CalibrationMonitor>> Create(const MonitoringOptions& options, Store& store,
                                                                    const Clock& clock);
  virtual ~CalibrationMonitor() = default;

  // The log has grown; never waits. (FeedbackIngestor's OnCommit.)
  virtual void Notify() = 0;

  // The report of a window now; an empty window where nothing was labelled yet. INVALID_ARGUMENT for a window that
  // is not configured, listing those that are. Intervals are not filled in.
  virtual absl::StatusOr<WindowReport> Report(const MonitorKey& key, const std::string& window) = 0;

  // Waits until everything up to `position` is folded, at most `timeout`; false if it is not.
  virtual bool WaitForPosition(int64_t position, absl::Duration timeout) = 0;
  // Writes the checkpoint now.
  virtual absl::Status SaveCheckpoint() = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_CALIBRATION_MONITOR_H_
