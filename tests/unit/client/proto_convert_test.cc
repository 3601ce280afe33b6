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
  request.top_k = 2;
  request.return_logits = true;
  request.inputs = {{EncodedImage{"png"}, {{"site", "A"}}}, {Tensor::Uint8({1, 1}, {9}), {}}};
  const v1::PredictRequest proto = ToProto(request);
  EXPECT_EQ(proto.model_version(), 3);
  EXPECT_EQ(proto.inputs(0).encoded_image(), "png");
  EXPECT_EQ(proto.inputs(0).attributes(0).value(), "A");
  EXPECT_EQ(proto.inputs(1).tensor().data_type(), v1::DATA_TYPE_UINT8);
  EXPECT_EQ(proto.inputs(1).tensor().shape_size(), 2);
  EXPECT_EQ(proto.options().top_k(), 2);
  EXPECT_TRUE(proto.options().return_logits());
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

TEST(ProtoConvertTest, SelectsStoredOrUploadedRows) {
  FitRequest request;
  request.method = CalibrationMethod::kPlatt;
  EXPECT_TRUE(ToProto(request).has_stored());
  EXPECT_EQ(ToProto(request).method(), v1::CALIBRATION_METHOD_PLATT);
  request.data = UploadedLogits{};
  EXPECT_TRUE(ToProto(request).has_uploaded());
}

}  // namespace
}  // namespace calserve::client
