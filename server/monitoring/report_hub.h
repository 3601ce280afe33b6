#ifndef CALSERVE_SERVER_MONITORING_REPORT_HUB_H_
#define CALSERVE_SERVER_MONITORING_REPORT_HUB_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/base/clock.h"
#include "server/monitoring/calibration_monitor.h"

namespace calserve {

struct Subscription {
  // Asked anew for every report, so that it can follow the active calibrator. Must not wait.
  std::function<MonitorKey()> key;
  // Which calibrator version is active, asked with the key: reports say whether theirs is. Null: they do not
  // depend on it. Must not wait.
  std::function<int64_t()> active = nullptr;
  std::vector<std::string> windows;
  absl::Duration min_interval = absl::Seconds(1);  // 10 ms to 1 h
};

// What a subscriber took last.
struct TakenReports {
  MonitorKey key;
  KeyRevision revision;
  absl::Time time;
  bool ages = false;  // a last-T or decaying window held labels: its report changes by time alone
  bool catching_up = false;
  int64_t active = 0;  // calibrator version, where the subscription asks
};

// Whether reports made now would say something else: another key is followed, a label was folded for it, its
// alarm was acknowledged, catching up has ended, or windows that age are a second older.
bool ReportsChanged(const TakenReports& taken, const MonitorKey& key, const KeyRevision& revision,
                    bool catching_up, absl::Time now);

// Gives every subscriber the newest reports, at the rate that it asked for. A subscriber is pulled, never
// waited for: it is told once that something newer is there (`on_ready`, from the hub's thread, must not
// wait) and takes the newest with Take() when it can; between the two nothing is queued. A fold is noticed
// within 10 ms, another active calibrator too if ActiveChanged is called, else within 1 s; subscribers of the
// same window who take within 10 ms share one report. Thread-safe. The hub outlives its subscribers, the
// monitor and the clock outlive the hub.
class ReportHub {
 public:
  // Unsubscribes on destruction; after that neither on_ready nor the subscription's key is called again (the
  // destructor waits for a call under way, so it must not run inside one).
  class Subscriber {
   public:
    virtual ~Subscriber() = default;
    // The newest reports, one a window in the order asked for; re-arms on_ready: it is called again once a
    // window has changed since and min_interval has passed. The first on_ready comes at once. May be called
    // from on_ready.
    virtual std::vector<WindowReport> Take() = 0;
  };

  static std::unique_ptr<ReportHub> Create(CalibrationMonitor& monitor, const Clock& clock,
                                           int max_subscribers = 1000);
  virtual ~ReportHub() = default;

  // RESOURCE_EXHAUSTED beyond max_subscribers; INVALID_ARGUMENT for an unknown window or a bad interval.
  virtual absl::StatusOr<std::unique_ptr<Subscriber>> Subscribe(Subscription subscription,
                                                                std::function<void()> on_ready) = 0;

  // Another calibrator became active: subscribers are looked at as after a fold. Never waits.
  virtual void ActiveChanged() = 0;

  // The report of one window as subscribers get it, at most 10 ms old; errors as CalibrationMonitor::Report.
  virtual absl::StatusOr<WindowReport> Newest(const MonitorKey& key, const std::string& window) = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_REPORT_HUB_H_
