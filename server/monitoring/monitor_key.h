#ifndef CALSERVE_SERVER_MONITORING_MONITOR_KEY_H_
#define CALSERVE_SERVER_MONITORING_MONITOR_KEY_H_

#include <compare>
#include <cstdint>
#include <string>

namespace calserve {

// Whose labels a window counts.
struct MonitorKey {
  std::string model;
  int64_t model_version = 0;
  int64_t calibrator_version = 0;
  friend auto operator<=>(const MonitorKey&, const MonitorKey&) = default;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_MONITOR_KEY_H_
