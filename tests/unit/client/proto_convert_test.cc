#include "client/proto_convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/errors.h"

namespace calserve::client {
namespace {

TEST(ProtoConvertTest, SendsBothKindsOfInput) {
  PredictRequest request;
  request.model = "m";
  request.model_version = 3;
  request.version_label = "canary";
  request.routing_key = "user-1";
  request.top_k = 2;
  request.return_logits = true;
  request.inputs = {{EncodedImage{"png"}, {{"site", "A"}}}, {Tensor::Uint8({1, 1}, {9}), {}}};
  const v1::PredictRequest proto = ToProto(request);
  EXPECT_EQ(proto.model_version(), 3);
  EXPECT_EQ(proto.version_label(), "canary");
  EXPECT_EQ(proto.routing_key(), "user-1");
  EXPECT_EQ(proto.inputs(0).encoded_image(), "png");
  EXPECT_EQ(proto.inputs(0).attributes(0).value(), "A");
  EXPECT_EQ(proto.inputs(1).tensor().data_type(), v1::DATA_TYPE_UINT8);
  EXPECT_EQ(proto.inputs(1).tensor().shape_size(), 2);
  EXPECT_EQ(proto.options().top_k(), 2);
  EXPECT_TRUE(proto.options().return_logits());
}

TEST(ProtoConvertTest, TellsWhatServesAndWhatDoesNot) {
  v1::Model proto;
  proto.set_reason("model.yaml:3: task");
  v1::TrafficShare& share = *proto.add_traffic();
  share.set_version_label("canary");
  share.set_weight(5);
  v1::ModelVersion& version = *proto.add_versions();
  version.set_state(v1::MODEL_STATE_UNAVAILABLE);
  version.set_reason("not loaded");
  version.add_version_labels("canary");
  const ModelInfo model = FromProto(proto);
  EXPECT_EQ(model.reason, "model.yaml:3: task");
  EXPECT_EQ(model.traffic.at(0), (std::pair<std::string, int>("canary", 5)));
  EXPECT_EQ(model.versions.at(0).state, ModelVersionInfo::State::kUnavailable);
  EXPECT_EQ(model.versions.at(0).reason, "not loaded");
  EXPECT_EQ(model.versions.at(0).version_labels.at(0), "canary");
  proto.mutable_versions(0)->set_state(v1::MODEL_STATE_UNLOADING);
  EXPECT_EQ(FromProto(proto).versions.at(0).state, ModelVersionInfo::State::kUnloading);
}

TEST(ProtoConvertTest, SaysWhichVersionAndHowUrgent) {
  PredictRequest request;
  request.version_label = "canary";
  request.routing_key = "camera 7";
  request.priority = 2;
  const v1::PredictRequest proto = ToProto(request);
  EXPECT_EQ(proto.version_label(), "canary");
  EXPECT_EQ(proto.routing_key(), "camera 7");
  EXPECT_EQ(proto.options().priority(), 2);
}

TEST(ProtoConvertTest, KeepsTimesToTheNanosecond) {
  StoredSelection selection;
  selection.start = absl::FromUnixNanos(1'700'000'000'123'456'789);
  selection.end = absl::FromUnixNanos(-1);
  const v1::StoredSelection proto = ToProto(selection);
  EXPECT_EQ(proto.start_time().nanos(), 123'456'789);
  EXPECT_EQ(proto.end_time().seconds(), -1);
  EXPECT_EQ(proto.end_time().nanos(), 999'999'999);
  EXPECT_FALSE(ToProto(StoredSelection()).has_start_time());
}

TEST(ProtoConvertTest, NamesTheReasonOfARejection) {
  v1::FeedbackResult proto;
  proto.set_outcome(v1::FEEDBACK_OUTCOME_REJECTED);
  proto.set_reason(v1::REJECTION_REASON_LABEL_CONFLICT);
  EXPECT_EQ(FromProto(proto).reason, "LABEL_CONFLICT");
  proto.set_outcome(v1::FEEDBACK_OUTCOME_ACCEPTED);
  EXPECT_EQ(FromProto(proto).outcome, FeedbackResult::Outcome::kAccepted);
  EXPECT_EQ(FromProto(proto).reason, "");
}

TEST(ProtoConvertTest, AFailureIsTheErrorOfTheUnaryCall) {
  v1::Failure failure;
  failure.set_code(8);
  failure.set_message("full");
  failure.set_reason("QUEUE_FULL");
  failure.set_retry_after_millis(20);
  const absl::Status status = FromProto(failure);
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_EQ(status.message(), "full");
  EXPECT_EQ(ErrorReason(status), "QUEUE_FULL");
  EXPECT_EQ(RetryAfter(status), absl::Milliseconds(20));
  EXPECT_TRUE(absl::IsInternal(FromProto(v1::Failure())));
}

TEST(ProtoConvertTest, ACalibratorKeepsItsParameters) {
  v1::Calibrator proto;
  proto.set_method("platt_one_vs_rest");
  v1::CalibratorParameter& slope = *proto.add_parameters();
  slope.set_name("slope");
  slope.add_values(-1);
  slope.add_values(-2);
  const CalibratorInfo info = FromProto(proto);
  EXPECT_EQ(info.method, "platt_one_vs_rest");
  ASSERT_EQ(info.parameters.size(), 1u);
  EXPECT_EQ(info.parameters[0].name, "slope");
  EXPECT_THAT(info.parameters[0].values, ::testing::ElementsAre(-1, -2));
}

TEST(ProtoConvertTest, NamesTheSliceBothWays) {
  ReportRequest request;
  EXPECT_FALSE(ToProto(request).has_slice());
  request.slice = Slice{"camera", "north"};
  request.data = StoredSelection{.attributes = {{"site", "a"}, {"site", "b"}}};
  const v1::GetCalibrationReportRequest report = ToProto(request);
  EXPECT_EQ(report.slice().key(), "camera");
  EXPECT_EQ(report.slice().value(), "north");
  ASSERT_EQ(report.stored().attributes_size(), 2);
  EXPECT_EQ(report.stored().attributes(1).value(), "b");
  WatchRequest watch;
  EXPECT_FALSE(ToProto(watch).has_slice());
  watch.slice = Slice{"camera", ""};
  EXPECT_TRUE(ToProto(watch).has_slice());
  v1::WindowReport window;
  EXPECT_EQ(FromProto(window).slice, std::nullopt);
  *window.mutable_slice() = report.slice();
  EXPECT_EQ(FromProto(window).slice, request.slice);
  v1::ModelAlarm alarm;
  EXPECT_EQ(FromProto(alarm).slice, std::nullopt);
  *alarm.mutable_slice() = report.slice();
  EXPECT_EQ(FromProto(alarm).slice, request.slice);
}

TEST(ProtoConvertTest, SelectsStoredOrUploadedRows) {
  FitRequest request;
  request.method = CalibrationMethod::kPlatt;
  EXPECT_TRUE(ToProto(request).has_stored());
  EXPECT_EQ(ToProto(request).method(), v1::CALIBRATION_METHOD_PLATT);
  request.method = CalibrationMethod::kAuto;
  request.holdout = 0.25;
  request.outer_folds = 4;
  EXPECT_EQ(ToProto(request).method(), v1::CALIBRATION_METHOD_AUTO);
  EXPECT_EQ(ToProto(request).holdout(), 0.25);
  EXPECT_EQ(ToProto(request).outer_folds(), 4);
  request.data = UploadedLogits{};
  EXPECT_TRUE(ToProto(request).has_uploaded());
}

}  // namespace
}  // namespace calserve::client
