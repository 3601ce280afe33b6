// The whole loop over gRPC: predict, label, watch, fit, activate, roll back; and that all of it outlives a
// restart.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cmath>

#include "absl/time/clock.h"
#include "tests/end_to_end/api.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/end_to_end/test_images.h"

namespace calserve::e2e {
namespace {

using ::testing::HasSubstr;

class CalibrationLoopTest : public ::testing::Test {
 protected:
  void SetUp() override { StartServer(); }

  void StartServer() {
    api_.reset();
    server_ = std::make_unique<ServerProcess>(ServerFlags{.data_dir = data_dir_.path()});
    ASSERT_TRUE(server_->WaitUntilServing()) << server_->log();
    api_ = std::make_unique<Api>(server_->address());
  }
  void RestartServer() {
    server_->Signal(SIGTERM);
    ASSERT_EQ(server_->WaitForExit(absl::Seconds(30)), 0) << server_->log();
    StartServer();
  }

  void PredictAndLabel(int begin, int count) { Label(*api_, PredictTestImages(*api_, begin, count)); }
  int64_t ActiveVersion() {
    return api_->GetModel(kModel)->model().versions(0).active_calibrator().version();
  }
  v1::Prediction PredictOne(int image) {
    v1::PredictRequest request = TestTensorRequest(image, 1);
    request.mutable_options()->set_return_logits(true);
    request.mutable_options()->set_return_probabilities(true);
    const auto reply = api_->Predict(request);
    EXPECT_TRUE(reply.ok()) << reply.status;
    calibrator_version_ = reply->calibrator_version();
    return reply->predictions(0);
  }
  // A window, without what a report of the same labels at another time may differ in.
  std::string TimelessReport(int64_t calibrator_version, const std::string& window) {
    v1::WindowReport report = api_->Report(WindowRequest(calibrator_version, window))->report();
    report.mutable_as_of()->clear_time();
    report.mutable_alarm()->clear_state();  // whether the version is active
    report.clear_selection();
    return report.DebugString();
  }

  TempDir data_dir_;
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<Api> api_;
  int64_t calibrator_version_ = -1;  // of the last PredictOne
};

double Parameter(const v1::Calibrator& calibrator, const std::string& name, double otherwise) {
  for (const v1::CalibratorParameter& parameter : calibrator.parameters()) {
    if (parameter.name() == name) return parameter.values(0);
  }
  return otherwise;
}

// (1 - e) softmax(z / T) + e / K of the likeliest class.
double TemperatureConfidence(const v1::Prediction& prediction, const v1::Calibrator& calibrator) {
  const double t = Parameter(calibrator, "temperature", 1);
  const double epsilon = Parameter(calibrator, "epsilon", 0);
  const auto& z = prediction.logits();
  const double max = *std::max_element(z.begin(), z.end());
  double sum = 0;
  for (const float value : z) sum += std::exp((value - max) / t);
  return (1 - epsilon) / sum + epsilon / z.size();
}

TEST_F(CalibrationLoopTest, PredictLabelWatchFitActivateRollBackRestart) {
  // Predict and label, while a watch sees n rise and a good report form.
  v1::WatchCalibrationRequest watch_request;
  watch_request.set_model(kModel);
  watch_request.add_windows("last_1000");
  watch_request.mutable_min_interval()->set_nanos(10'000'000);
  const auto watch = api_->WatchCalibration(watch_request);
  v1::WatchCalibrationResponse seen;
  for (int labels = 320; labels <= 960; labels += 320) {
    PredictAndLabel(labels - 320, 320);
    int64_t n = 0;
    while (n < labels) {
      ASSERT_TRUE(watch->Read(&seen)) << server_->log();
      EXPECT_GE(seen.reports(0).served().n(), n);
      n = seen.reports(0).served().n();
    }
    EXPECT_EQ(n, labels);
  }
  const v1::CalibrationMetrics before = seen.reports(0).served();
  EXPECT_GT(before.accuracy(), 0.85);
  EXPECT_GT(before.mean_confidence(), before.accuracy()) << "trained the ordinary way: overconfident";
  EXPECT_EQ(before.bins_size(), 15);
  EXPECT_EQ(seen.reports(0).as_of().position(), 960);

  // Fit: nothing that is active changes.
  const auto fitted = Fit(*api_, StoredFit(v1::CALIBRATION_METHOD_TEMPERATURE));
  ASSERT_TRUE(fitted.ok()) << fitted.status;
  EXPECT_EQ(fitted->version(), 1);
  EXPECT_EQ(fitted->method(), "temperature");
  EXPECT_EQ(fitted->state(), v1::CALIBRATOR_STATE_FITTED);
  EXPECT_EQ(fitted->report().n(), 960);
  EXPECT_FALSE(fitted->report().at_bound());
  EXPECT_GT(Parameter(fitted.response, "temperature", 0), 1);
  EXPECT_LT(fitted->report().after().nll(), fitted->report().before().nll());
  EXPECT_EQ(ActiveVersion(), 0);
  const v1::Prediction plain = PredictOne(7777);
  EXPECT_EQ(calibrator_version_, 0);
  EXPECT_EQ(plain.confidence(), plain.uncalibrated_confidence());

  // Activate: only what the caller believes is replaced.
  const CallStatus refused = api_->Activate(ActivateRequest(1, 9)).status;
  EXPECT_EQ(refused.code, absl::StatusCode::kAborted) << refused;
  EXPECT_EQ(ActiveVersion(), 0);
  EXPECT_EQ(api_->Activate(ActivateRequest(5, 0)).status.code, absl::StatusCode::kNotFound);
  ASSERT_TRUE(api_->Activate(ActivateRequest(1, 0)).ok());
  EXPECT_EQ(ActiveVersion(), 1);
  const v1::Prediction calibrated = PredictOne(7777);
  EXPECT_EQ(calibrator_version_, 1);
  EXPECT_NEAR(calibrated.confidence(), TemperatureConfidence(calibrated, fitted.response), 1e-5);
  EXPECT_NE(calibrated.confidence(), plain.confidence());
  EXPECT_NEAR(calibrated.uncalibrated_confidence(), plain.confidence(), 1e-6);

  // The watch follows what is active: the window of the new version starts empty and fills.
  PredictAndLabel(1000, 320);
  while (seen.reports(0).calibrator_version() != 1 || seen.reports(0).served().n() < 320) {
    ASSERT_TRUE(watch->Read(&seen));
  }
  EXPECT_LT(seen.reports(0).served().nll(), seen.reports(0).uncalibrated().nll());

  // Roll back, and forward again.
  v1::RollbackCalibratorRequest rollback;
  rollback.set_model(kModel);
  rollback.set_expected_active_version(0);
  EXPECT_EQ(api_->Rollback(rollback).status.code, absl::StatusCode::kAborted);
  rollback.set_expected_active_version(1);
  const auto rolled_back = api_->Rollback(rollback);
  ASSERT_TRUE(rolled_back.ok()) << rolled_back.status;
  EXPECT_EQ(rolled_back->calibrator().version(), 0);
  EXPECT_EQ(PredictOne(7777).confidence(), plain.confidence());
  ASSERT_TRUE(api_->Activate(ActivateRequest(1, 0)).ok());

  // After a restart: the same calibrator, the same windows to the last bit.
  std::vector<std::string> reports;
  const auto all_reports = [&] {
    reports.clear();
    for (const char* window : {"last_1000", "last_10000", "last_1h", "last_24h"}) {
      for (const int64_t version : {0, 1}) reports.push_back(TimelessReport(version, window));
    }
    return reports;
  };
  ASSERT_EQ(WaitForLabels(*api_, 1, 320).served().n(), 320);
  const std::vector<std::string> reports_before = all_reports();
  RestartServer();
  EXPECT_EQ(ActiveVersion(), 1);
  EXPECT_EQ(PredictOne(7777).confidence(), calibrated.confidence());
  ASSERT_EQ(WaitForLabels(*api_, 1, 320).served().n(), 320);
  EXPECT_EQ(all_reports(), reports_before);

  v1::ListCalibratorsRequest list;
  list.set_model(kModel);
  const auto calibrators = api_->ListCalibrators(list);
  ASSERT_EQ(calibrators->calibrators_size(), 1);
  EXPECT_EQ(calibrators->calibrators(0).state(), v1::CALIBRATOR_STATE_ACTIVE);
  EXPECT_EQ(calibrators->calibrators(0).digest(), fitted->digest());
}

TEST_F(CalibrationLoopTest, AReportOfStoredLabelsHasIntervalsAndAgreesWithTheLiveOne) {
  PredictAndLabel(0, 640);
  const v1::CalibrationMetrics live = WaitForLabels(*api_, 0, 640).served();
  v1::GetCalibrationReportRequest request;
  request.set_model(kModel);
  request.mutable_stored();
  const auto stored = api_->Report(request);
  ASSERT_TRUE(stored.ok()) << stored.status;
  const v1::CalibrationMetrics& served = stored->report().served();
  EXPECT_EQ(served.n(), 640);
  EXPECT_NEAR(served.ece(), live.ece(), 1e-9);
  EXPECT_NEAR(served.accuracy(), live.accuracy(), 1e-12);
  EXPECT_NEAR(served.mean_confidence(), live.mean_confidence(), 1e-9);
  ASSERT_TRUE(served.has_ece_low() && served.has_ece_high());
  EXPECT_LE(served.ece_low(), served.ece_high());
  EXPECT_EQ(stored->report().as_of().position(), 640);
}

TEST_F(CalibrationLoopTest, AStoredFitCanLeaveASourceOut) {
  const std::vector<Labelled> good = PredictTestImages(*api_, 0, 320);
  ASSERT_TRUE(api_->SubmitFeedback(FeedbackRequest(good, "radiologist")).ok());
  const auto good_fit = Fit(*api_, StoredFit(v1::CALIBRATION_METHOD_TEMPERATURE));
  ASSERT_TRUE(good_fit.ok()) << good_fit.status;
  std::vector<Labelled> bad = PredictTestImages(*api_, 320, 320);
  for (Labelled& labelled : bad) labelled.label = (labelled.label + 1) % kClasses;
  ASSERT_TRUE(api_->SubmitFeedback(FeedbackRequest(bad, "weak-labels")).ok());
  v1::FitSpecification specification = StoredFit(v1::CALIBRATION_METHOD_TEMPERATURE);
  specification.mutable_stored()->add_excluded_sources("weak-labels");
  const auto filtered = Fit(*api_, specification);
  ASSERT_TRUE(filtered.ok()) << filtered.status;
  EXPECT_EQ(filtered->report().n(), 320);
  EXPECT_EQ(filtered->digest(), good_fit->digest()) << "the same rows give the same calibrator";
}

// Fits that the data cannot support leave what is active alone.
class UnfitDataTest : public CalibrationLoopTest {
 protected:
  static v1::LabelledExample Example(const std::vector<float>& logits, int label) {
    v1::LabelledExample example;
    example.mutable_logits()->mutable_values()->Add(logits.begin(), logits.end());
    example.set_class_index(label);
    return example;
  }
  // One-hot logits of `height` for `predicted`, labelled `label`.
  static v1::LabelledExample OneHot(float height, int predicted, int label) {
    std::vector<float> logits(kClasses);
    logits[predicted] = height;
    return Example(logits, label);
  }
  void TearDown() override {
    EXPECT_EQ(ActiveVersion(), 0) << "the active calibrator is untouched";
    EXPECT_TRUE(api_->Predict(TestTensorRequest(0, 1)).ok());
  }
};

TEST_F(UnfitDataTest, NoLabelsAndTooFewAreAFailedPreconditionThatSaysHowMany) {
  for (const int labels : {0, 5}) {
    if (labels > 0) PredictAndLabel(0, labels);
    for (const auto method : {v1::CALIBRATION_METHOD_TEMPERATURE, v1::CALIBRATION_METHOD_PLATT}) {
      const CallStatus status = Fit(*api_, StoredFit(method)).status;
      EXPECT_EQ(status.code, absl::StatusCode::kFailedPrecondition) << status;
      EXPECT_THAT(status.message, HasSubstr(std::to_string(labels)));
      EXPECT_EQ(status.domain, "calserve");
    }
  }
}

TEST_F(UnfitDataTest, OneClassOnlyIsAFailedPreconditionOrAFiniteFitAtItsBound) {
  std::vector<v1::LabelledExample> examples;
  for (int i = 0; i < 200; ++i) examples.push_back(OneHot(1 + i % 7, i % 3, 0));
  for (const auto method : {v1::CALIBRATION_METHOD_TEMPERATURE, v1::CALIBRATION_METHOD_PLATT}) {
    const auto reply = Fit(*api_, UploadedFit(method), examples);
    if (!reply.ok()) {
      EXPECT_EQ(reply.status.code, absl::StatusCode::kFailedPrecondition) << reply.status;
      EXPECT_NE(reply.status.message, "");
      continue;
    }
    for (const v1::CalibratorParameter& parameter : reply->parameters()) {
      for (const double value : parameter.values()) EXPECT_TRUE(std::isfinite(value)) << parameter.name();
    }
  }
}

TEST_F(UnfitDataTest, AllCorrectIsAFailedPreconditionOrAFiniteFitThatSaysAtBound) {
  std::vector<v1::LabelledExample> examples;
  for (int i = 0; i < 500; ++i) examples.push_back(OneHot(10, i % kClasses, i % kClasses));
  const auto reply = Fit(*api_, UploadedFit(v1::CALIBRATION_METHOD_TEMPERATURE), examples);
  if (!reply.ok()) {
    EXPECT_EQ(reply.status.code, absl::StatusCode::kFailedPrecondition) << reply.status;
    return;
  }
  EXPECT_TRUE(reply->report().at_bound());
  const double temperature = Parameter(reply.response, "temperature", std::nan(""));
  EXPECT_TRUE(std::isfinite(temperature) && temperature > 0) << temperature;
  EXPECT_TRUE(std::isfinite(reply->report().after().nll()));
}

TEST_F(UnfitDataTest, ABadExampleIsNamedByItsPlaceInTheWholeSet) {
  std::vector<v1::LabelledExample> examples;
  for (int i = 0; i < 300; ++i) examples.push_back(OneHot(2, i % kClasses, i * i % kClasses));
  std::vector<v1::LabelledExample> damaged = examples;
  damaged[217].set_class_index(kClasses);
  EXPECT_THAT(Fit(*api_, UploadedFit(v1::CALIBRATION_METHOD_TEMPERATURE), damaged).status.message,
              HasSubstr("217"));
  damaged = examples;
  damaged[218].mutable_logits()->set_values(3, std::nanf(""));
  const CallStatus status = Fit(*api_, UploadedFit(v1::CALIBRATION_METHOD_TEMPERATURE), damaged).status;
  EXPECT_EQ(status.code, absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(status.message, HasSubstr("218"));
  damaged = examples;
  damaged[219].mutable_input()->set_encoded_image("no image");
  EXPECT_THAT(Fit(*api_, UploadedFit(v1::CALIBRATION_METHOD_TEMPERATURE), damaged).status.message,
              HasSubstr("219"));
}

TEST_F(CalibrationLoopTest, AnUploadedSetOfImagesTensorsOrLogitsGivesTheSameFit) {
  constexpr int kExamples = 300;
  const TestImages& images = TestImages::Get();
  std::vector<v1::LabelledExample> as_images(kExamples), as_tensors(kExamples), as_logits(kExamples);
  for (int i = 0; i < kExamples; ++i) {
    as_images[i].mutable_input()->set_encoded_image(images.Png(i));
    *as_tensors[i].mutable_input() = TestTensorRequest(i, 1).inputs(0);
    *as_logits[i].mutable_logits()->mutable_values() = PredictOne(i).logits();
    for (auto* examples : {&as_images, &as_tensors, &as_logits}) {
      (*examples)[i].set_class_index(images.label(i));
    }
  }
  const v1::FitSpecification specification = UploadedFit(v1::CALIBRATION_METHOD_TEMPERATURE);
  const auto by_logits = Fit(*api_, specification, as_logits);
  ASSERT_TRUE(by_logits.ok()) << by_logits.status;
  EXPECT_EQ(by_logits->report().n(), kExamples);
  const double temperature = Parameter(by_logits.response, "temperature", 0);
  for (const auto* examples : {&as_images, &as_tensors}) {
    const auto reply = Fit(*api_, specification, *examples);
    ASSERT_TRUE(reply.ok()) << reply.status;
    EXPECT_EQ(reply->report().n(), kExamples);
    EXPECT_NEAR(Parameter(reply.response, "temperature", 0), temperature, 1e-3 * temperature);
  }
}

TEST_F(CalibrationLoopTest, EveryMethodFitsActivatesAndServesProbabilitiesThatSumToOne) {
  PredictAndLabel(0, 960);
  int64_t active = 0;
  for (int method = v1::CALIBRATION_METHOD_TEMPERATURE; method < v1::CalibrationMethod_ARRAYSIZE; ++method) {
    SCOPED_TRACE(v1::CalibrationMethod_Name(method));
    const auto fitted = Fit(*api_, StoredFit(static_cast<v1::CalibrationMethod>(method)));
    ASSERT_TRUE(fitted.ok()) << fitted.status;
    if (method == v1::CALIBRATION_METHOD_PLATT) {
      EXPECT_EQ(fitted->method(), "platt_one_vs_rest");
    }
    if (method == v1::CALIBRATION_METHOD_BETA) {
      EXPECT_EQ(fitted->method(), "beta_one_vs_rest");
    }
    EXPECT_EQ(fitted->report().comparison_size() > 0, method == v1::CALIBRATION_METHOD_AUTO);
    ASSERT_TRUE(api_->Activate(ActivateRequest(fitted->version(), active)).ok());
    active = fitted->version();
    const v1::Prediction prediction = PredictOne(5000);
    double sum = 0;
    for (const float p : prediction.probabilities()) sum += p;
    EXPECT_NEAR(sum, 1, 1e-5);
    EXPECT_EQ(prediction.confidence(),
              *std::max_element(prediction.probabilities().begin(), prediction.probabilities().end()));
  }
}

}  // namespace
}  // namespace calserve::e2e
