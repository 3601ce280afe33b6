#include "server/rpc/calibration_checks.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/monitoring/slice_keys.h"

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

absl::Status CheckSelection(const LogSelection& selection, const ServedModel& model) {
  const auto refused = [](std::string message) {
    return WithField(absl::InvalidArgumentError(std::move(message)), "stored.attributes");
  };
  for (const AttributeRule& rule : selection.attributes) {
    if (!absl::c_linear_search(model.attribute_keys, rule.key)) {
      return refused(absl::StrCat(
          "model '", model.name, "' has no attribute '", rule.key, "': its model.yaml ",
          model.attribute_keys.empty() ? std::string("lists none")
                                       : absl::StrCat("lists ", absl::StrJoin(model.attribute_keys, ", "))));
    }
    if (absl::c_linear_search(rule.values, kOtherSlice)) {
      return refused(
          absl::StrCat("'", kOtherSlice, "' is no value of attribute '", rule.key,
                       "' but the slice of the values that have none of their own: name the values, "
                       "or ask for a report of the slice ",
                       rule.key, "=", kOtherSlice));
    }
  }
  return absl::OkStatus();
}

absl::Status TooManyCalls() {
  return WithReason(absl::ResourceExhaustedError(absl::StrCat(
                        kMaxWaitingCalls, " calls to the calibration service wait already; retry")),
                    "TOO_MANY_CALLS");
}

}  // namespace calserve
