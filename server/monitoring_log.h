#ifndef CALSERVE_SERVER_MONITORING_LOG_H_
#define CALSERVE_SERVER_MONITORING_LOG_H_

#include <cstdint>

#include "server/monitoring/calibration_monitor.h"

namespace calserve {

// Says in the log what has changed of a monitor's state: what fails is said once, and once that it works
// again. Not thread-safe.
class MonitoringLog {
 public:
  void Tell(const MonitorState& state);

 private:
  bool told_restored_ = false, folds_ = true, checkpoints_ = true;
  int64_t dropped_keys_ = 0, skipped_ = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_LOG_H_
