#ifndef CALSERVE_SERVER_MONITORING_REPORT_HUB_H_
#define CALSERVE_SERVER_MONITORING_REPORT_HUB_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/monitoring/calibration_monitor.h"

namespace calserve {

struct Subscription {
  // Asked anew for every report, so that it can follow the active calibrator. Must not wait.
  std::function<MonitorKey()> key;
  std::vector<std::string> windows;
  absl::Duration min_interval = absl::Seconds(1);  // 10 ms to 1 h
};

// Gives every subscriber the newest reports, at the rate that it asked for. A subscriber is pulled, never waited
// for: it is told once that something newer is there (`on_ready`, from the hub's thread, must not wait) and takes
// the newest with Take() when it can; between the two nothing is queued. Any number of subscribers; thread-safe.
class ReportHub {
 public:
  // Unsubscribes on destruction; after that on_ready is not called again (the destructor waits for a call under way).
  class Subscriber {
   public:
    virtual ~Subscriber() = default;
    // The newest reports, one a window; re-arms on_ready: it is called again once a window has changed since and
    // min_interval has passed. The first on_ready comes at once.
    virtual std::vector<WindowReport> Take() = 0;
  };

  static std::unique_ptr<ReportHub> Create(CalibrationMonitor& monitor, const Clock& clock, int max_subscribers = 1000);
  virtual ~ReportHub() = default;

  // RESOURCE_EXHAUSTED beyond max_subscribers; INVALID_ARGUMENT for an unknown window or a bad interval.
  virtual absl::StatusOr<std::unique_ptr<Subscriber>> Subscribe(Subscription subscription,
                                                               std::function<void()> on_ready) = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_REPORT_HUB_H_
