#ifndef CALSERVE_SERVER_MONITORING_LATCHED_ALARMS_H_
#define CALSERVE_SERVER_MONITORING_LATCHED_ALARMS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "calibration/calibration_alarm.h"
#include "server/monitoring/fold_codec.h"
#include "server/monitoring/monitor_key.h"

namespace calserve {

// The alarms of keys that made room while theirs was raised: an alarm stays until somebody has seen it,
// whether or not there is room for the windows. Acknowledged ones stay, too, so that what of their alpha is
// spent stays spent when the key comes back. Of more than kMaxAlarms the one whose last label lies furthest
// back in the log is forgotten. Not thread-safe.
class LatchedAlarms final {
 public:
  static constexpr size_t kMaxAlarms = 512;  // of about 1.3 KB

  void Keep(const MonitorKey& key, int64_t label_position, CalibrationAlarm alarm);
  // That of a key which is held again, and forgets it.
  std::optional<CalibrationAlarm> Take(const MonitorKey& key);
  const CalibrationAlarm* Find(const MonitorKey& key) const;
  // False where none is raised.
  bool Acknowledge(const MonitorKey& key, const LogPoint& at);
  void KeepOnly(absl::FunctionRef<bool(const MonitorKey&, const CalibrationAlarm&)> keep);

  void Write(FoldWriter& writer) const;
  static absl::StatusOr<LatchedAlarms> Read(FoldReader& reader);

 private:
  struct Latched {
    int64_t label_position = 0;
    CalibrationAlarm alarm;
  };
  std::map<MonitorKey, Latched> alarms_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_LATCHED_ALARMS_H_
