#ifndef CALSERVE_SERVER_ECE_INTERVALS_H_
#define CALSERVE_SERVER_ECE_INTERVALS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "absl/base/thread_annotations.h"
#include "calibration/metrics.h"
#include "server/base/mutex.h"
#include "server/monitoring/calibration_monitor.h"

namespace calserve {

// The intervals of live reports. They are simulated, so they are kept for as long as what they follow from
// stays. Thread-safe.
class EceIntervals final {
 public:
  // Sets the intervals of both sides of a report of a window.
  void Fill(WindowReport* report);
  // Forgets the intervals of all versions that `serves` says no of.
  template <typename Serves>
  void KeepOnly(const Serves& serves) {
    MutexLock lock(&mu_);
    std::erase_if(kept_, [&serves](const auto& entry) { return !serves(std::get<0>(entry.first)); });
  }

 private:
  using Key = std::tuple<MonitorKey, std::string, bool>;  // of a window; true: as served
  struct Interval {
    int64_t n = 0;
    double ece = 0;
    std::optional<double> low, high;
  };

  void FillSide(const Key& key, CalibrationMetrics* metrics) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Mutex mu_;  // Also while simulating: one at a time.
  std::map<Key, Interval> kept_ ABSL_GUARDED_BY(mu_);
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_ECE_INTERVALS_H_
