#ifndef CALSERVE_SERVER_MONITORING_ALARM_SETTINGS_H_
#define CALSERVE_SERVER_MONITORING_ALARM_SETTINGS_H_

#include <map>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "calibration/calibration_alarm.h"
#include "server/base/mutex.h"

namespace calserve {

// The alarm's options of each model, as its model.yaml had them when it was last read. Thread-safe.
class AlarmSettings final {
 public:
  void Set(const std::string& model, const AlarmOptions& options) {
    MutexLock lock(&mu_);
    options_[model] = options;
  }
  // nullopt for a model that was never read.
  std::optional<AlarmOptions> Of(const std::string& model) const {
    MutexLock lock(&mu_);
    const auto found = options_.find(model);
    return found == options_.end() ? std::nullopt : std::optional<AlarmOptions>(found->second);
  }

 private:
  mutable Mutex mu_;
  std::map<std::string, AlarmOptions> options_ ABSL_GUARDED_BY(mu_);
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_ALARM_SETTINGS_H_
