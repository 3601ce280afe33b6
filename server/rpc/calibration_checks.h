#ifndef CALSERVE_SERVER_RPC_CALIBRATION_CHECKS_H_
#define CALSERVE_SERVER_RPC_CALIBRATION_CHECKS_H_

#include "absl/status/status.h"
#include "server/feedback/store.h"
#include "server/monitoring/calibration_monitor.h"
#include "server/prediction/serving_table.h"
#include "server/recalibration/calibrator_registry.h"

namespace calserve {

// What the calls of the calibration service refuse alike.

// NOT_FOUND where the model version has no such calibrator version; every one has 0, plain softmax. May wait
// for the store.
absl::Status CheckCalibratorExists(CalibratorRegistry& registry, const MonitorKey& key);

// NOT_FOUND for a slice that the model cannot have; every model has that of all labels.
absl::Status CheckSlice(const CalibrationMonitor& monitor, const MonitorKey& key);

// INVALID_ARGUMENT for an attribute that the model does not declare, naming those that it does, and for the
// value "other": that is the slice of what has none of its own, and no value of a stored label.
absl::Status CheckSelection(const LogSelection& selection, const ServedModel& model);

// Calls that may wait for one of the service's threads, and what the next one is told.
inline constexpr int kMaxWaitingCalls = 64;
absl::Status TooManyCalls();

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_CALIBRATION_CHECKS_H_
