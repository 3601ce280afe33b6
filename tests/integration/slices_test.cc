// Slices as a client sees them: predictions carry attributes over both protocols, and each slice has reports,
// a watch and an alarm of its own.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "calserve/v1/calibration.grpc.pb.h"
#include "calserve/v1/feedback.grpc.pb.h"
#include "calserve/v1/prediction.grpc.pb.h"
#include "inference/grpc_service.grpc.pb.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/integration/in_process_server.h"

namespace calserve::integration {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kClasses = 4;

class SlicesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.data_dir = data_dir_ / "data";
    options_.classes = kClasses;
    options_.batching.max_batch_size = 64;
    options_.attributes = {{"camera", {}}, {"site", {"a", "b"}}};
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
    kserve_ = inference::GRPCInferenceService::NewStub(channel);
  }

  using Attributes = std::vector<std::pair<std::string, std::string>>;

  // Of class 0, with confidence 0.87 where `logit` is 3.
  grpc::Status Predict(int count, const Attributes& attributes, v1::PredictResponse* response,
                       float logit = 3) {
    v1::PredictRequest request;
    request.set_model("puppet");
    const float values[kClasses] = {logit};
    for (int i = 0; i < count; ++i) {
      v1::Input& input = *request.add_inputs();
      input.mutable_tensor()->add_shape(kClasses);
      input.mutable_tensor()->set_data(values, sizeof(values));
      for (const auto& [key, value] : attributes) {
        v1::Attribute& attribute = *input.add_attributes();
        attribute.set_key(key);
        attribute.set_value(value);
      }
    }
    grpc::ClientContext context;
    return prediction_->Predict(&context, request, response);
  }
  grpc::Status Infer(const Attributes& attributes, std::vector<std::string>* tickets) {
    const float values[2 * kClasses] = {3, 0, 0, 0, 3};
    inference::ModelInferRequest request;
    request.set_model_name("puppet");
    auto& input = *request.add_inputs();
    input.set_name("input");
    input.set_datatype("FP32");
    input.add_shape(2);
    input.add_shape(kClasses);
    request.add_raw_input_contents(values, sizeof(values));
    request.add_outputs()->set_name("ticket");
    for (const auto& [key, value] : attributes) {
      (*request.mutable_parameters())[absl::StrCat("attribute.", key)].set_string_param(value);
    }
    grpc::ClientContext context;
    inference::ModelInferResponse response;
    const grpc::Status status = kserve_->ModelInfer(&context, request, &response);
    if (!status.ok()) return status;
    std::string raw = response.raw_output_contents(0);  // each a length of 4 bytes and then so many
    while (!raw.empty()) {
      uint32_t length = 0;
      std::memcpy(&length, raw.data(), sizeof(length));
      tickets->push_back(raw.substr(sizeof(length), length));
      raw.erase(0, sizeof(length) + length);
    }
    return status;
  }
  void Label(const std::vector<std::string>& tickets, int label) {
    v1::SubmitFeedbackRequest labels;
    for (const std::string& ticket : tickets) {
      v1::FeedbackItem& item = *labels.add_items();
      item.set_ticket(ticket);
      item.set_class_index(label);
    }
    v1::SubmitFeedbackResponse response;
    Call(*feedback_, &v1::FeedbackService::Stub::SubmitFeedback, labels, &response);
    for (const v1::FeedbackResult& result : response.results()) {
      ASSERT_EQ(result.outcome(), v1::FEEDBACK_OUTCOME_ACCEPTED) << result.message();
    }
    labelled_ += static_cast<int64_t>(tickets.size());
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (Report(All()).as_of().position() < labelled_ && absl::Now() < deadline)
      absl::SleepFor(absl::Milliseconds(1));
    ASSERT_EQ(Report(All()).as_of().position(), labelled_);
  }
  void PredictAndLabel(int count, const Attributes& attributes, int label, float logit = 3) {
    v1::PredictResponse predicted;
    const grpc::Status status = Predict(count, attributes, &predicted, logit);
    ASSERT_TRUE(status.ok()) << status.error_message();
    std::vector<std::string> tickets;
    for (const v1::Prediction& prediction : predicted.predictions()) tickets.push_back(prediction.ticket());
    Label(tickets, label);
  }

  static v1::GetCalibrationReportRequest RequestOf(const v1::Slice& slice) {
    v1::GetCalibrationReportRequest request;
    request.set_model("puppet");
    if (!slice.key().empty()) *request.mutable_slice() = slice;
    return request;
  }
  static v1::Slice Slice(const std::string& key, const std::string& value) {
    v1::Slice slice;
    slice.set_key(key);
    slice.set_value(value);
    return slice;
  }
  static v1::Slice All() { return {}; }
  v1::WindowReport Report(const v1::Slice& slice) { return Report(RequestOf(slice)); }
  v1::WindowReport Report(const v1::GetCalibrationReportRequest& request) {
    v1::GetCalibrationReportResponse response;
    Call(*calibration_, &v1::CalibrationService::Stub::GetCalibrationReport, request, &response);
    return response.report();
  }
  grpc::Status StatusOf(const v1::GetCalibrationReportRequest& request) {
    grpc::ClientContext context;
    v1::GetCalibrationReportResponse response;
    return calibration_->GetCalibrationReport(&context, request, &response);
  }
  v1::ListAlarmsResponse Alarms() {
    v1::ListAlarmsResponse response;
    Call(*calibration_, &v1::CalibrationService::Stub::ListAlarms, v1::ListAlarmsRequest(), &response);
    return response;
  }
  v1::ListSlicesResponse Slices() {
    v1::ListSlicesRequest request;
    request.set_model("puppet");
    v1::ListSlicesResponse response;
    Call(*calibration_, &v1::CalibrationService::Stub::ListSlices, request, &response);
    return response;
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
  std::unique_ptr<inference::GRPCInferenceService::Stub> kserve_;
  int64_t labelled_ = 0;
};

TEST_F(SlicesTest, PredictionsOfBothProtocolsCountInTheSlicesOfTheirAttributes) {
  PredictAndLabel(3, {{"camera", "north"}, {"site", "b"}}, 0);
  PredictAndLabel(1, {}, 0);
  std::vector<std::string> tickets;
  const grpc::Status status = Infer({{"site", "z"}, {"camera", "north"}}, &tickets);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(tickets.size(), 2u);
  Label(tickets, 1);
  EXPECT_EQ(Report(All()).served().n(), 6);
  EXPECT_FALSE(Report(All()).has_slice());
  const v1::WindowReport north = Report(Slice("camera", "north"));
  EXPECT_EQ(north.served().n(), 5);
  EXPECT_DOUBLE_EQ(north.served().accuracy(), 0.6);
  EXPECT_EQ(north.slice().value(), "north");
  EXPECT_TRUE(north.has_alarm());
  EXPECT_FALSE(north.has_selection());
  EXPECT_EQ(Report(Slice("site", "b")).served().n(), 3);
  EXPECT_EQ(Report(Slice("site", "other")).served().n(), 2);
  EXPECT_EQ(Report(Slice("site", "a")).served().n(), 0);
  const v1::ListSlicesResponse slices = Slices();
  ASSERT_EQ(slices.keys_size(), 2);
  EXPECT_EQ(slices.keys(0).key(), "camera");
  EXPECT_EQ(slices.keys(0).values_size(), 0);
  EXPECT_THAT(slices.keys(1).values(), ElementsAre("a", "b"));
  ASSERT_EQ(slices.reports_size(), 3);
  EXPECT_EQ(slices.reports(0).slice().value(), "north");
  EXPECT_EQ(slices.reports(1).slice().value(), "b");
  EXPECT_EQ(slices.reports(2).slice().value(), "other");
  EXPECT_EQ(slices.reports(2).served().n(), 2);
}

TEST_F(SlicesTest, AttributesThatModelYamlDoesNotListAreRefusedOverBothProtocols) {
  v1::PredictResponse response;
  const grpc::Status native = Predict(1, {{"camra", "north"}}, &response);
  EXPECT_EQ(native.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(native.error_message(), HasSubstr("inputs[0]: model 'puppet' takes the attributes that its "
                                                "model.yaml lists: camera, site; was 'camra'"));
  std::vector<std::string> tickets;
  const grpc::Status kserve = Infer({{"camra", "north"}}, &tickets);
  EXPECT_EQ(kserve.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(kserve.error_message(), HasSubstr("lists: camera, site; was 'camra'"));
}

TEST_F(SlicesTest, ASliceThatCannotBeIsNotFoundAndNamesThoseThatCan) {
  EXPECT_TRUE(StatusOf(RequestOf(Slice("camera", "never seen"))).ok());
  const grpc::Status value = StatusOf(RequestOf(Slice("site", "z")));
  EXPECT_EQ(value.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(value.error_message(),
              HasSubstr("model 'puppet': site=z has no slice of its own; site has a, b"));
  EXPECT_EQ(StatusOf(RequestOf(Slice("hour", "7"))).error_code(), grpc::StatusCode::NOT_FOUND);
  v1::GetCalibrationReportRequest no_key = RequestOf(All());
  no_key.mutable_slice()->set_value("north");
  EXPECT_EQ(StatusOf(no_key).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  v1::WatchCalibrationRequest watch;
  watch.set_model("puppet");
  *watch.mutable_slice() = Slice("hour", "7");
  grpc::ClientContext context;
  EXPECT_EQ(calibration_->WatchCalibration(&context, watch)->Finish().error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(SlicesTest, StoredReportsOfASliceAreOfItsRows) {
  PredictAndLabel(30, {{"camera", "north"}, {"site", "a"}}, 0);
  PredictAndLabel(20, {{"camera", "south"}, {"site", "z"}}, 1);
  PredictAndLabel(10, {{"camera", "south"}}, 0, 1);
  const auto stored = [&](const v1::Slice& slice) {
    v1::GetCalibrationReportRequest request = RequestOf(slice);
    request.mutable_stored();
    request.set_detailed(true);
    return Report(request);
  };
  EXPECT_EQ(stored(All()).served().n(), 60);
  for (const v1::Slice& slice :
       {Slice("camera", "north"), Slice("camera", "south"), Slice("site", "other")}) {
    SCOPED_TRACE(slice.value());
    const v1::CalibrationMetrics rows = stored(slice).served(), live = Report(slice).served();
    EXPECT_EQ(rows.n(), live.n());
    EXPECT_NEAR(rows.accuracy(), live.accuracy(), 1e-12);
    EXPECT_NEAR(rows.ece(), live.ece(), 1e-8);
    EXPECT_NEAR(rows.nll(), live.nll(), 1e-6);
    EXPECT_TRUE(stored(slice).has_served_details());
  }
  EXPECT_EQ(stored(Slice("site", "other")).served().n(), 20);
  v1::GetCalibrationReportRequest any = RequestOf(All());
  for (const auto& [key, value] : Attributes{{"camera", "north"}, {"camera", "south"}, {"site", "z"}}) {
    v1::Attribute& attribute = *any.mutable_stored()->add_attributes();
    attribute.set_key(key);
    attribute.set_value(value);
  }
  EXPECT_EQ(Report(any).served().n(), 20) << "any camera, but that site";
}

TEST_F(SlicesTest, OnlyTheSliceThatIsOffIsAlarmedAndCanBeAcknowledged) {
  // 0.87 of south is right, none of north: too few of all labels to matter there.
  for (int i = 0; i < 25; ++i) {
    PredictAndLabel(54, {{"camera", "south"}}, 0);
    PredictAndLabel(8, {{"camera", "south"}}, 1);
    PredictAndLabel(2, {{"camera", "north"}}, 1);
  }
  v1::ListAlarmsResponse alarms = Alarms();
  ASSERT_EQ(alarms.alarms_size(), 3);
  EXPECT_FALSE(alarms.catching_up());
  EXPECT_FALSE(alarms.alarms(0).has_slice());
  EXPECT_EQ(alarms.alarms(0).alarm().state(), v1::ALARM_STATE_QUIET);
  EXPECT_EQ(alarms.alarms(0).alarm().alpha(), 0.005);
  EXPECT_EQ(alarms.alarms(1).slice().value(), "south");
  EXPECT_EQ(alarms.alarms(1).alarm().state(), v1::ALARM_STATE_QUIET);
  EXPECT_EQ(alarms.alarms(2).slice().value(), "north");
  EXPECT_EQ(alarms.alarms(2).alarm().state(), v1::ALARM_STATE_RAISED);
  EXPECT_EQ(alarms.alarms(2).alarm().direction(), v1::GAP_DIRECTION_OVERCONFIDENT);

  v1::AcknowledgeAlarmRequest request;
  request.set_model("puppet");
  *request.mutable_slice() = Slice("camera", "north");
  v1::AcknowledgeAlarmResponse response;
  Call(*calibration_, &v1::CalibrationService::Stub::AcknowledgeAlarm, request, &response);
  EXPECT_EQ(response.alarm().slice().value(), "north");
  EXPECT_EQ(response.alarm().alarm().state(), v1::ALARM_STATE_QUIET);
  Start();
  alarms = Alarms();
  ASSERT_EQ(alarms.alarms_size(), 3);
  EXPECT_EQ(alarms.alarms(2).SerializeAsString(), response.alarm().SerializeAsString());
}

TEST_F(SlicesTest, AWatchOfASliceIsToldOfItsLabelsAlone) {
  v1::WatchCalibrationRequest request;
  request.set_model("puppet");
  request.add_windows("last_1000");
  *request.mutable_slice() = Slice("camera", "north");
  request.mutable_min_interval()->set_nanos(10'000'000);
  grpc::ClientContext context;
  const auto watch = calibration_->WatchCalibration(&context, request);
  v1::WatchCalibrationResponse response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.reports(0).served().n(), 0);
  PredictAndLabel(5, {{"camera", "south"}}, 0);
  PredictAndLabel(2, {{"camera", "north"}}, 0);
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.reports(0).served().n(), 2);
  EXPECT_EQ(response.reports(0).slice().value(), "north");
  context.TryCancel();
  while (watch->Read(&response)) {
  }
  watch->Finish();
}

}  // namespace
}  // namespace calserve::integration
