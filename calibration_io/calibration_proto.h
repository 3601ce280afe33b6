#ifndef CALSERVE_CALIBRATION_IO_CALIBRATION_PROTO_H_
#define CALSERVE_CALIBRATION_IO_CALIBRATION_PROTO_H_

#include <vector>

#include "absl/status/statusor.h"
#include "calibration/calibrator.h"
#include "calibration/fit.h"
#include "calibration/metrics.h"
#include "calibration/metrics/detailed_metrics.h"
#include "calibration/metrics/estimate.h"
#include "calibration/set_threshold.h"
#include "calserve/v1/calibration.pb.h"

namespace calserve {

// Values of calibration/ as messages of calserve.v1 and back. Nothing is lost either way, and what is unset
// stays unset.
v1::CalibrationMetrics MetricsToProto(const CalibrationMetrics& metrics);
CalibrationMetrics MetricsFromProto(const v1::CalibrationMetrics& metrics);

v1::DetailedMetrics DetailsToProto(const DetailedMetrics& details);
DetailedMetrics DetailsFromProto(const v1::DetailedMetrics& details);

v1::FitReport FitReportToProto(const FitReport& report);
FitReport FitReportFromProto(const v1::FitReport& report);

// A value of the enum is named as the method: CALIBRATION_METHOD_PLATT_ONE_VS_REST is "platt_one_vs_rest".
v1::CalibrationMethod MethodToProto(CalibrationMethod method);
// INVALID_ARGUMENT for UNSPECIFIED and for a value that this version does not know.
absl::StatusOr<CalibrationMethod> MethodFromProto(v1::CalibrationMethod method);

v1::SetMethod SetMethodToProto(ConformalScore score);
// THR for what is no score.
ConformalScore SetMethodFromProto(v1::SetMethod method);
// Adds them.
void SetThresholdsToProto(absl::Span<const SetThreshold> thresholds, v1::Calibrator* calibrator);
std::vector<SetThreshold> SetThresholdsFromProto(const v1::Calibrator& calibrator);

v1::Estimate EstimateToProto(const Estimate& estimate);
Estimate EstimateFromProto(const v1::Estimate& estimate);

std::vector<CalibratorSpec::Parameter> ParametersFromProto(const v1::Calibrator& calibrator);
// Sets method, parameters and set thresholds; the message has no field for the number of classes.
void SpecToProto(const CalibratorSpec& spec, v1::Calibrator* calibrator);
// INVALID_ARGUMENT unless Calibrator::Create takes the result.
absl::StatusOr<CalibratorSpec> SpecFromProto(const v1::Calibrator& calibrator, int classes);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_IO_CALIBRATION_PROTO_H_
