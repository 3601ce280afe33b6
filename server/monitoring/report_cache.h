#ifndef CALSERVE_SERVER_MONITORING_REPORT_CACHE_H_
#define CALSERVE_SERVER_MONITORING_REPORT_CACHE_H_

#include <map>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/base/mutex.h"
#include "server/monitoring/calibration_monitor.h"

namespace calserve {

// Reports shared between subscribers, so that what a label costs does not depend on how many watch: whoever
// asks for a window first computes it, and who asks within kSharedFor gets the same. Thread-safe.
class ReportCache final {
 public:
  static constexpr absl::Duration kSharedFor = absl::Milliseconds(10);

  explicit ReportCache(CalibrationMonitor& monitor) : monitor_(monitor) {}

  // A report computed at `not_before` (steady time) or later, and at most kSharedFor ago.
  absl::StatusOr<WindowReport> Get(const MonitorKey& key, const std::string& window,
                                   absl::Duration not_before);

 private:
  struct Entry {
    absl::Duration computed;  // steady time, before the computation
    WindowReport report;
  };

  CalibrationMonitor& monitor_;
  Mutex mu_;
  std::map<std::pair<MonitorKey, std::string>, Entry> entries_ ABSL_GUARDED_BY(mu_);
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_REPORT_CACHE_H_
