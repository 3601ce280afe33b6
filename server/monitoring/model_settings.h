#ifndef CALSERVE_SERVER_MONITORING_MODEL_SETTINGS_H_
#define CALSERVE_SERVER_MONITORING_MODEL_SETTINGS_H_

#include <map>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "server/base/mutex.h"

namespace calserve {

// One setting of each model, as its model.yaml had it when it was last read. Thread-safe.
template <typename T>
class ModelSettings final {
 public:
  void Set(const std::string& model, const T& setting) {
    MutexLock lock(&mu_);
    settings_[model] = setting;
  }
  // nullopt for a model that was never read.
  std::optional<T> Of(const std::string& model) const {
    MutexLock lock(&mu_);
    const auto found = settings_.find(model);
    return found == settings_.end() ? std::nullopt : std::optional<T>(found->second);
  }

 private:
  mutable Mutex mu_;
  std::map<std::string, T> settings_ ABSL_GUARDED_BY(mu_);
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_MODEL_SETTINGS_H_
