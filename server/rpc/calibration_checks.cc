#include "server/rpc/calibration_checks.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"

namespace calserve {

absl::Status CheckCalibratorExists(CalibratorRegistry& registry, const MonitorKey& key) {
  if (key.calibrator_version == 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::shared_ptr<const Calibrator> known,
                   registry.Find(key.model, key.model_version, key.calibrator_version));
  if (known != nullptr) return absl::OkStatus();
  return WithField(absl::NotFoundError(absl::StrCat("model '", key.model, "' version ", key.model_version,
                                                    " has no calibrator ", key.calibrator_version)),
                   "calibrator_version");
}

absl::Status CheckSlice(const CalibrationMonitor& monitor, const MonitorKey& key) {
  if (key.slice.whole()) return absl::OkStatus();
  const absl::Status status = monitor.Slices(key.model).Check(key.slice);
  if (status.ok()) return status;
  return WithField(absl::Status(status.code(), absl::StrCat("model '", key.model, "': ", status.message())),
                   "slice");
}

absl::Status TooManyCalls() {
  return WithReason(absl::ResourceExhaustedError(absl::StrCat(
                        kMaxWaitingCalls, " calls to the calibration service wait already; retry")),
                    "TOO_MANY_CALLS");
}

}  // namespace calserve
