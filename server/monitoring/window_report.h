#ifndef CALSERVE_SERVER_MONITORING_WINDOW_REPORT_H_
#define CALSERVE_SERVER_MONITORING_WINDOW_REPORT_H_

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "calibration/calibration_alarm.h"
#include "calibration/label_extras.h"
#include "calibration/metrics.h"
#include "calibration/metrics/detailed_metrics.h"
#include "calibration/set_threshold.h"
#include "server/monitoring/label_arrivals.h"
#include "server/monitoring/monitor_key.h"

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

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_WINDOW_REPORT_H_
