// The alarm as a client sees it: raised by wrong labels, watched, acknowledged, gone with its calibrator.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "calserve/v1/calibration.grpc.pb.h"
#include "calserve/v1/feedback.grpc.pb.h"
#include "calserve/v1/prediction.grpc.pb.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/integration/in_process_server.h"

namespace calserve::integration {
namespace {

using ::testing::HasSubstr;

constexpr int kClasses = 4;

class AlarmTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.data_dir = data_dir_ / "data";
    options_.classes = kClasses;
    options_.batching.max_batch_size = 64;
    Start();
  }
  void Start() {
    calibration_.reset();
    server_.reset();
    server_ = std::make_unique<InProcessServer>(options_, clock_);
    const auto channel = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
    calibration_ = v1::CalibrationService::NewStub(channel);
    prediction_ = v1::PredictionService::NewStub(channel);
    feedback_ = v1::FeedbackService::NewStub(channel);
  }

  // Predictions of class 0 with confidence 0.87, each labelled 1.
  void LabelWrong(int count) {
    v1::PredictRequest request;
    request.set_model("puppet");
    const float values[kClasses] = {3, 0, 0, 0};
    for (int i = 0; i < count; ++i) {
      v1::Tensor& tensor = *request.add_inputs()->mutable_tensor();
      tensor.add_shape(kClasses);
      tensor.set_data(values, sizeof(values));
    }
    v1::PredictResponse predicted;
    Call(*prediction_, &v1::PredictionService::Stub::Predict, request, &predicted);
    v1::SubmitFeedbackRequest labels;
    for (const v1::Prediction& prediction : predicted.predictions()) {
      labels.add_items()->set_ticket(prediction.ticket());
      labels.mutable_items(labels.items_size() - 1)->set_class_index(1);
    }
    v1::SubmitFeedbackResponse accepted;
    Call(*feedback_, &v1::FeedbackService::Stub::SubmitFeedback, labels, &accepted);
    labelled_ += count;
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (Report().as_of().position() < labelled_ && absl::Now() < deadline)
      absl::SleepFor(absl::Milliseconds(1));
    ASSERT_EQ(Report().as_of().position(), labelled_);
  }

  v1::WindowReport Report(int64_t calibrator_version = 0) {
    v1::GetCalibrationReportRequest request;
    request.set_model("puppet");
    request.set_calibrator_version(calibrator_version);
    v1::GetCalibrationReportResponse response;
    Call(*calibration_, &v1::CalibrationService::Stub::GetCalibrationReport, request, &response);
    return response.report();
  }
  v1::ModelAlarm Listed() {
    v1::ListAlarmsResponse response;
    Call(*calibration_, &v1::CalibrationService::Stub::ListAlarms, v1::ListAlarmsRequest(), &response);
    EXPECT_EQ(response.alarms_size(), 1);
    return response.alarms(0);
  }
  grpc::Status Acknowledge(int64_t calibrator_version = 0, v1::ModelAlarm* alarm = nullptr) {
    v1::AcknowledgeAlarmRequest request;
    request.set_model("puppet");
    request.set_calibrator_version(calibrator_version);
    grpc::ClientContext context;
    v1::AcknowledgeAlarmResponse response;
    const grpc::Status status = calibration_->AcknowledgeAlarm(&context, request, &response);
    if (alarm != nullptr) *alarm = response.alarm();
    return status;
  }

  template <typename Stub, typename Request, typename Response>
  static void Call(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                   const Request& request, Response* response) {
    grpc::ClientContext context;
    const grpc::Status status = (stub.*method)(&context, request, response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }

  e2e::TempDir data_dir_;
  ManualClock clock_{absl::Now()};
  InProcessOptions options_;
  std::unique_ptr<InProcessServer> server_;
  std::unique_ptr<v1::CalibrationService::Stub> calibration_;
  std::unique_ptr<v1::PredictionService::Stub> prediction_;
  std::unique_ptr<v1::FeedbackService::Stub> feedback_;
  int64_t labelled_ = 0;
};

TEST_F(AlarmTest, IsRaisedByWrongLabelsAndInEveryReport) {
  EXPECT_EQ(Listed().alarm().state(), v1::ALARM_STATE_QUIET);
  EXPECT_EQ(Listed().alarm().tolerance(), 0.01);
  LabelWrong(60);
  const v1::ModelAlarm listed = Listed();
  EXPECT_EQ(listed.model(), "puppet");
  EXPECT_EQ(listed.model_version(), 1);
  EXPECT_EQ(listed.calibrator_version(), 0);
  const v1::CalibrationAlarm& alarm = listed.alarm();
  EXPECT_EQ(alarm.state(), v1::ALARM_STATE_RAISED);
  EXPECT_EQ(alarm.direction(), v1::GAP_DIRECTION_OVERCONFIDENT);
  EXPECT_GE(alarm.e_overconfident(), alarm.threshold());
  EXPECT_LT(alarm.e_underconfident(), 1);
  EXPECT_GT(alarm.e_exact(), 1000);
  EXPECT_EQ(alarm.labels(), 60);
  EXPECT_LT(alarm.since().position(), 30);
  EXPECT_EQ(alarm.since().time().seconds(), absl::ToUnixSeconds(clock_.Now()));
  EXPECT_EQ(alarm.change_point().position(), 1);
  EXPECT_EQ(Report().alarm().SerializeAsString(), alarm.SerializeAsString());
}

TEST_F(AlarmTest, AnAcknowledgementIsForTheActiveCalibratorAndLasts) {
  EXPECT_EQ(Acknowledge().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  LabelWrong(60);
  const grpc::Status another = Acknowledge(7);
  EXPECT_EQ(another.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_THAT(another.error_message(), HasSubstr("calibrator version 0 is active"));
  v1::ModelAlarm acknowledged;
  ASSERT_TRUE(Acknowledge(0, &acknowledged).ok());
  EXPECT_EQ(acknowledged.alarm().state(), v1::ALARM_STATE_QUIET);
  EXPECT_EQ(acknowledged.alarm().acknowledged().position(), 60);
  EXPECT_EQ(Acknowledge().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  Start();
  EXPECT_EQ(Listed().SerializeAsString(), acknowledged.SerializeAsString());
  LabelWrong(60);
  EXPECT_EQ(Listed().alarm().state(), v1::ALARM_STATE_RAISED) << "what is still wrong is found again";
}

TEST_F(AlarmTest, AWatcherIsToldOfItAndOfItsAcknowledgement) {
  v1::WatchCalibrationRequest request;
  request.set_model("puppet");
  request.mutable_min_interval()->set_nanos(10'000'000);
  grpc::ClientContext context;
  const auto watch = calibration_->WatchCalibration(&context, request);
  v1::WatchCalibrationResponse response;
  LabelWrong(60);
  do {
    ASSERT_TRUE(watch->Read(&response));
  } while (response.reports(0).as_of().position() < 60);
  EXPECT_EQ(response.reports(0).alarm().state(), v1::ALARM_STATE_RAISED);
  ASSERT_TRUE(Acknowledge().ok());
  ASSERT_TRUE(watch->Read(&response)) << "without a new label";
  EXPECT_EQ(response.reports(0).alarm().state(), v1::ALARM_STATE_QUIET);
  EXPECT_EQ(response.reports(0).alarm().acknowledgements(), 1);
  context.TryCancel();
  while (watch->Read(&response)) {
  }
  watch->Finish();
}

TEST_F(AlarmTest, ReportsSayWhichPredictionsAreLabelled) {
  LabelWrong(60);
  const v1::LabelSelection selection = Report().selection();
  EXPECT_EQ(selection.issued(), 60);
  EXPECT_EQ(selection.labelled(), 60);
  EXPECT_EQ(selection.labelled_share(), 1);
  EXPECT_NEAR(selection.mean_confidence_issued(), 0.87, 0.01);
  EXPECT_NEAR(selection.mean_confidence_labelled(), selection.mean_confidence_issued(), 1e-6);
  EXPECT_EQ(selection.state(), v1::SELECTION_STATE_TOO_FEW_LABELS);
  EXPECT_EQ(selection.mean_label_delay().seconds(), 0);
  LabelWrong(60);
  EXPECT_EQ(Report().selection().state(), v1::SELECTION_STATE_NO_DIFFERENCE);
  Start();
  EXPECT_EQ(Report().selection().issued(), 0) << "counted from the start";
}

TEST_F(AlarmTest, OnlyWhatIsActiveIsAlarmed) {
  LabelWrong(60);
  ASSERT_TRUE(server_->ActivateTemperature().ok());
  EXPECT_EQ(Listed().calibrator_version(), 1);
  EXPECT_EQ(Listed().alarm().state(), v1::ALARM_STATE_QUIET);
  const v1::CalibrationAlarm before = Report(0).alarm();
  EXPECT_EQ(before.state(), v1::ALARM_STATE_NOT_ACTIVE);
  EXPECT_TRUE(before.has_since()) << "the evidence stays";
  EXPECT_EQ(Acknowledge(0).error_code(), grpc::StatusCode::ABORTED);
}

}  // namespace
}  // namespace calserve::integration
