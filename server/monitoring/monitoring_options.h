#ifndef CALSERVE_SERVER_MONITORING_MONITORING_OPTIONS_H_
#define CALSERVE_SERVER_MONITORING_MONITORING_OPTIONS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "calibration/metrics.h"
#include "server/monitoring/window_fold.h"

namespace calserve {

struct MonitoringOptions {
  std::vector<std::string> windows = {"last_1000", "last_10000", "last_1h", "last_24h", "decay_1h"};
  int bins = kDefaultBins;
  // Of one key's ring, 32 or 40 bytes each: a full one must fit a checkpoint (kMaxCheckpointPartBytes).
  int64_t window_max_labels = 1'000'000;
  // (model, version, calibrator version) held; the one longest without a label goes first, and is not seen to
  // drift where more than these have labels. A full one is 32 MB, or 40; one that gets no labels keeps what
  // its last-N windows need, at most 0.4 MB by default.
  int max_keys = 256;
  // Of one slice's ring, at most 40 bytes each, or what the longest last-N window needs. A key has at most 8
  // times 33 slices: 84 MB where all of them are full.
  int64_t slice_max_labels = 10'000;
  absl::Duration checkpoint_interval = absl::Minutes(1);  // bounds what a start after a crash folds again
  int read_batch = 4096;                                  // rows read from the log at a time
};

// INVALID_ARGUMENT for an option that is out of range or does not go with the others.
absl::Status CheckMonitoringOptions(const MonitoringOptions& options);

// A fold from scratch, if the options can be kept to. `alarm_options` null: the defaults; `slice_keys` null:
// no slices.
absl::StatusOr<std::unique_ptr<WindowFold>> NewWindowFold(const MonitoringOptions& options,
                                                          AlarmOptionsLookup alarm_options,
                                                          SliceKeysLookup slice_keys = nullptr);

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_MONITORING_OPTIONS_H_
