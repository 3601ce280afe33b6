#ifndef CALSERVE_SERVER_MONITORING_SHADOW_FOLD_H_
#define CALSERVE_SERVER_MONITORING_SHADOW_FOLD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "calibration/calibrator.h"
#include "calibration/rolling_windows.h"
#include "server/monitoring/monitor_key.h"

namespace calserve {

// A calibrator that is scored on labels which others served: those after its fit.
struct ShadowCalibrator {
  MonitorKey key;
  int64_t after_position = 0;  // of the log: labels after it count
  std::shared_ptr<const Calibrator> calibrator;
};
using ShadowList = std::vector<ShadowCalibrator>;

// The shadows there are now, few; the same pointer while they stay the same. Null: none. Must not wait.
using ShadowSource = std::function<std::shared_ptr<const ShadowList>()>;

// The windows of shadows. In memory alone: after a start they are read from the log again. Not thread-safe.
class ShadowFold final {
 public:
  struct Entry {
    ShadowCalibrator shadow;
    std::unique_ptr<RollingWindows> windows;
    int64_t label_position = 0;  // of the last label folded
    bool truncated = false;      // there were more labels before the first one folded
  };

  // Keeps the entries of those in `list`, and lets the others go.
  void KeepOnly(const ShadowList& list);
  void Add(Entry entry) { entries_.insert_or_assign(entry.shadow.key, std::move(entry)); }
  // Null where the key is no shadow. Valid until the entry goes.
  Entry* Find(const MonitorKey& key);
  const Entry* Find(const MonitorKey& key) const;
  int size() const { return static_cast<int>(entries_.size()); }

 private:
  std::map<MonitorKey, Entry> entries_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_SHADOW_FOLD_H_
