#ifndef CALSERVE_TESTS_UNIT_MONITORING_SAME_REPORTS_H_
#define CALSERVE_TESTS_UNIT_MONITORING_SAME_REPORTS_H_

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/monitoring/calibration_monitor.h"
#include "tests/unit/calibration/same_metrics.h"
#include "tests/unit/monitoring/monitoring_testing.h"

namespace calserve {

// One more key than is held, and windows of each kind, so short that they overflow.
inline MonitoringOptions SmallWindows() {
  MonitoringOptions options;
  options.windows = {"last_7", "last_100", "last_30s", "last_1h", "decay_15s"};
  options.window_max_labels = 200;
  options.max_keys = 3;
  options.read_batch = 13;
  return options;
}

inline std::vector<MonitorKey> Keys() {
  return {kKey, {"fashion", 3, 0}, {"fashion", 4, 1}, {"digits", 1, 0}};
}

// Any of them, the first so often that it is always held and its alarm raised.
template <typename Random>
MonitorKey AnyKey(Random& random) {
  const std::vector<MonitorKey> keys = Keys();
  return keys[random() % 2 == 0 ? 0 : random() % keys.size()];
}

// To the bit.
inline void ExpectSameReports(CalibrationMonitor& a, CalibrationMonitor& b,
                              const MonitoringOptions& options) {
  for (const MonitorKey& key : Keys()) {
    for (const std::string& window : options.windows) {
      SCOPED_TRACE(window + " of " + key.model + " " + std::to_string(key.calibrator_version));
      const WindowReport one = *a.Report(key, window), other = *b.Report(key, window);
      EXPECT_EQ(one.position, other.position);
      EXPECT_EQ(one.label_position, other.label_position);
      EXPECT_EQ(one.time, other.time);
      EXPECT_EQ(one.truncated, other.truncated);
      EXPECT_EQ(one.weighted, other.weighted);
      EXPECT_EQ(one.alarm, other.alarm);
      ExpectSameMetrics(one.served, other.served);
      ExpectSameMetrics(one.uncalibrated, other.uncalibrated);
    }
  }
}

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_MONITORING_SAME_REPORTS_H_
