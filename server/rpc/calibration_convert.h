#ifndef CALSERVE_SERVER_RPC_CALIBRATION_CONVERT_H_
#define CALSERVE_SERVER_RPC_CALIBRATION_CONVERT_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "calserve/v1/calibration.pb.h"
#include "server/monitoring/calibration_monitor.h"
#include "server/prediction/serving_table.h"
#include "server/recalibration/calibrator_registry.h"

namespace calserve {

google::protobuf::Timestamp ToProto(absl::Time time);
v1::Calibrator ToProto(const CalibratorVersion& calibrator);
// How a report's calibrator version serves.
struct Serving {
  bool active = false;
  ConfidenceSums issued;  // with it
};
Serving ServingOf(const MonitorKey& key, const ServingTable& table);
v1::WindowReport ToProto(const WindowReport& report, const Serving& serving);

// INVALID_ARGUMENT for a slice without key; `has` false: that of all labels.
absl::StatusOr<Slice> SliceFromProto(bool has, const v1::Slice& slice);
v1::Slice ToProto(const Slice& slice);

// INVALID_ARGUMENT unless it is a method that is fitted.
absl::StatusOr<CalibrationMethod> FitMethodFromProto(v1::CalibrationMethod method);
// How it is judged; INVALID_ARGUMENT for a number of folds or a share that FitCalibrator would not take.
absl::StatusOr<FitOptions> FitOptionsFromProto(const v1::FitSpecification& specification);
// Which stored labels; INVALID_ARGUMENT for a bad time, an end before the start, or a negative max_rows.
absl::StatusOr<LogSelection> SelectionFromProto(const v1::StoredSelection& selection);

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_CALIBRATION_CONVERT_H_
