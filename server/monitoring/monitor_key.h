#ifndef CALSERVE_SERVER_MONITORING_MONITOR_KEY_H_
#define CALSERVE_SERVER_MONITORING_MONITOR_KEY_H_

#include <compare>
#include <cstdint>
#include <string>

namespace calserve {

// The labels whose prediction has an attribute of that key and value; kOtherSlice as value: those of the key
// that have no slice of their own. Without a key: all labels.
struct Slice {
  std::string key;
  std::string value;
  bool whole() const { return key.empty(); }
  friend auto operator<=>(const Slice&, const Slice&) = default;
};

// Whose labels a window counts.
struct MonitorKey {
  std::string model;
  int64_t model_version = 0;
  int64_t calibrator_version = 0;
  Slice slice = {};
  friend auto operator<=>(const MonitorKey&, const MonitorKey&) = default;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_MONITOR_KEY_H_
