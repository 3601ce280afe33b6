#ifndef CALSERVE_CLIENT_PROTO_CONVERT_H_
#define CALSERVE_CLIENT_PROTO_CONVERT_H_

#include "absl/status/status.h"
#include "calserve/v1/calibration.pb.h"
#include "calserve/v1/feedback.pb.h"
#include "calserve/v1/model.pb.h"
#include "calserve/v1/prediction.pb.h"
#include "client/types.h"

namespace calserve::client {

// Plain values to messages and back. Cannot fail: the rules are the server's.
v1::Input ToProto(const Input& input);
v1::PredictRequest ToProto(const PredictRequest& request);
v1::FeedbackItem ToProto(const Feedback& feedback);
v1::Slice ToProto(const Slice& slice);
v1::StoredSelection ToProto(const StoredSelection& selection);
v1::GetCalibrationReportRequest ToProto(const ReportRequest& request);
v1::WatchCalibrationRequest ToProto(const WatchRequest& request);
// The first message of a fit, without data's rows.
v1::FitSpecification ToProto(const FitRequest& request);

PredictResponse FromProto(v1::PredictResponse&& response);
FeedbackResult FromProto(const v1::FeedbackResult& result);
WindowReport FromProto(const v1::WindowReport& report);
ModelAlarm FromProto(const v1::ModelAlarm& alarm);
CalibratorInfo FromProto(const v1::Calibrator& calibrator);
CalibratorComparison FromProto(const v1::PairedComparison& comparison);
ModelInfo FromProto(const v1::Model& model);
// The error that the same request would have met as a call of its own.
absl::Status FromProto(const v1::Failure& failure);

}  // namespace calserve::client

#endif  // CALSERVE_CLIENT_PROTO_CONVERT_H_
