// Prediction sets, labels chosen with known probabilities, and reports of only what was asked for: against
// the real server and real images.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "absl/strings/str_cat.h"
#include "tests/end_to_end/api.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/end_to_end/test_images.h"

namespace calserve::e2e {
namespace {

using ::testing::HasSubstr;

constexpr int kFitted = 3000, kServed = 3000;

class PredictionSetTest : public ::testing::Test {
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
  // A calibrator fitted to labels of the first test images, active.
  v1::Calibrator FitAndActivate() {
    Label(*api_, PredictTestImages(*api_, 0, kFitted));
    v1::FitSpecification specification = StoredFit(v1::CALIBRATION_METHOD_TEMPERATURE);
    for (const double alpha : {0.1, 0.02}) specification.add_set_alphas(alpha);
    const auto fitted = Fit(*api_, specification);
    EXPECT_TRUE(fitted.ok()) << fitted.status;
    EXPECT_TRUE(api_->Activate(ActivateRequest(fitted->version(), 0)).ok());
    return fitted.response;
  }
  v1::PredictRequest Asking(int begin, int count, v1::SetMethod method, double alpha) {
    v1::PredictRequest request = TestTensorRequest(begin, count);
    request.mutable_options()->mutable_prediction_set()->set_method(method);
    request.mutable_options()->mutable_prediction_set()->set_alpha(alpha);
    return request;
  }

  TempDir data_dir_;
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<Api> api_;
};

TEST_F(PredictionSetTest, SetsHoldTheTrueClassAsOftenAsPromisedAndTheReportSaysSo) {
  const auto without = api_->Predict(Asking(0, 1, v1::SET_METHOD_THR, 0.1));
  EXPECT_EQ(without.status.code, absl::StatusCode::kFailedPrecondition) << without.status;
  EXPECT_THAT(without.status.message, HasSubstr("plain softmax (calibrator 0)"));

  const v1::Calibrator calibrator = FitAndActivate();
  ASSERT_EQ(calibrator.set_thresholds_size(), 4);
  EXPECT_EQ(calibrator.set_thresholds(0).n(), kFitted);

  const TestImages& images = TestImages::Get();
  for (const v1::SetThreshold& threshold : calibrator.set_thresholds()) {
    SCOPED_TRACE(threshold.DebugString());
    int held = 0, labels = 0;
    double size = 0;
    std::vector<Labelled> predictions;
    for (int begin = kFitted; begin < kFitted + kServed; begin += 30) {
      const auto reply = api_->Predict(Asking(begin, 30, threshold.method(), threshold.alpha()));
      ASSERT_TRUE(reply.ok()) << reply.status;
      for (const v1::Prediction& prediction : reply->predictions()) {
        const v1::PredictionSet& set = prediction.prediction_set();
        const int label = images.label((begin + labels % 30) % images.size());
        EXPECT_EQ(set.threshold(), threshold.threshold());
        EXPECT_EQ(set.size(), set.classes_size());
        held += std::any_of(set.classes().begin(), set.classes().end(),
                            [&](const v1::ClassProbability& of_set) { return of_set.index() == label; });
        size += set.size();
        predictions.push_back({prediction.prediction_id(), prediction.ticket(), label});
        ++labels;
      }
    }
    // Three standard deviations of a coverage from so many rows, fitted and served.
    const double a = threshold.alpha(), coverage = static_cast<double>(held) / labels;
    RecordProperty(absl::StrCat(v1::SetMethod_Name(threshold.method()), "_", a),
                   absl::StrCat("coverage ", coverage, " mean_size ", size / labels));
    EXPECT_GE(coverage, 1 - a - 3 * std::sqrt(a * (1 - a) * (1.0 / kFitted + 1.0 / kServed)));
    if (threshold.method() != v1::SET_METHOD_THR || a != 0.1) continue;

    Label(*api_, predictions);
    const v1::WindowReport report = WaitForLabels(*api_, calibrator.version(), kServed);
    ASSERT_EQ(report.set_coverage_size(), 4);
    const v1::SetCoverage& live = report.set_coverage(0);
    EXPECT_EQ(live.method(), v1::SET_METHOD_THR);
    EXPECT_EQ(live.alpha(), 0.1);
    EXPECT_EQ(live.n(), kServed);
    // Of the ticket's half floats: a set at the very edge may differ.
    EXPECT_NEAR(live.coverage().value(), coverage, 0.002);
    EXPECT_NEAR(live.mean_size(), size / labels, 0.002);
    for (const v1::SetCoverage& of : report.set_coverage()) {
      EXPECT_GE(of.coverage().high(), 1 - of.alpha()) << of.DebugString();
    }
  }

  const auto unknown = api_->Predict(Asking(0, 1, v1::SET_METHOD_APS, 0.3));
  EXPECT_EQ(unknown.status.code, absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(unknown.status.message,
              HasSubstr("it has THR at alpha 0.1, APS at alpha 0.1, THR at alpha 0.02"));

  RestartServer();
  const v1::WindowReport restarted = WaitForLabels(*api_, calibrator.version(), kServed);
  EXPECT_EQ(restarted.set_coverage_size(), 4) << "before any label has come";
  EXPECT_EQ(restarted.set_coverage(0).n(), kServed);
  EXPECT_TRUE(api_->Predict(Asking(0, 1, v1::SET_METHOD_APS, 0.02)).ok());
}

// Who labels looks at doubtful predictions ten times as often as at sure ones.
TEST_F(PredictionSetTest, WeightedEstimatesAreOfAllPredictionsWhereThePlainOnesAreOfTheLabelled) {
  std::mt19937_64 generator(1);
  std::uniform_real_distribution<double> uniform(0, 1);
  const std::vector<Labelled> all = PredictTestImages(*api_, 0, 10'000);
  v1::SubmitFeedbackRequest request;
  double right = 0, confidence = 0;
  for (const Labelled& prediction : all) {
    right += prediction.correct ? 1 : 0;
    confidence += static_cast<double>(prediction.confidence);
    const double p = prediction.confidence > 0.9 ? 0.1 : 1.0;
    if (uniform(generator) >= p) continue;
    *request.add_items() = Item(prediction.ticket, prediction.label);
    request.mutable_items(request.items_size() - 1)->set_inclusion_probability(p);
  }
  ASSERT_LT(request.items_size(), 6000);
  ASSERT_TRUE(api_->SubmitFeedback(request).ok());
  v1::WindowReport live = WaitForLabels(*api_, 0, request.items_size());
  v1::GetCalibrationReportRequest of_stored;
  of_stored.set_model(kModel);
  of_stored.mutable_stored();
  const auto stored = api_->Report(of_stored);
  ASSERT_TRUE(stored.ok()) << stored.status;

  const double accuracy = right / static_cast<double>(all.size());
  const double gap = confidence / static_cast<double>(all.size()) - accuracy;
  EXPECT_LT(live.served().accuracy(), accuracy - 0.05) << "of the labelled alone";
  for (const v1::WeightedEstimates& weighted : {live.weighted(), stored->report().weighted()}) {
    EXPECT_EQ(weighted.n(), request.items_size());
    EXPECT_NEAR(weighted.population(), 10'000, 400);
    EXPECT_LE(weighted.accuracy().low(), accuracy);
    EXPECT_GE(weighted.accuracy().high(), accuracy);
    EXPECT_NEAR(weighted.accuracy().value(), accuracy, 0.02);
    EXPECT_LE(weighted.confidence_gap().low(), gap);
    EXPECT_GE(weighted.confidence_gap().high(), gap);
  }
  EXPECT_EQ(live.weighted().DebugString(), stored->report().weighted().DebugString());
}

TEST_F(PredictionSetTest, AWatchReportsWhatItsMaskNames) {
  Label(*api_, PredictTestImages(*api_, 0, 100));
  WaitForLabels(*api_, 0, 100);
  v1::WatchCalibrationRequest request;
  request.set_model(kModel);
  for (const char* const path : {"served.ece", "served.ece_low", "served.bins"}) {
    request.mutable_report_mask()->add_paths(path);
  }
  const auto watch = api_->WatchCalibration(request);
  v1::WatchCalibrationResponse response;
  ASSERT_TRUE(watch->Read(&response));
  const v1::WindowReport& report = response.reports(0);
  EXPECT_EQ(report.window(), "last_1000");
  EXPECT_GT(report.served().ece(), 0);
  EXPECT_TRUE(report.served().has_ece_low());
  EXPECT_FALSE(report.served().has_ece_high());
  EXPECT_EQ(report.served().n(), 0);
  EXPECT_FALSE(report.has_uncalibrated());
  EXPECT_FALSE(report.has_alarm());
  double rows = 0;
  for (const v1::ReliabilityBin& bin : report.served().bins()) {
    rows += bin.count();
    ASSERT_EQ(bin.has_accuracy_low(), bin.count() > 0);
    if (bin.count() == 0) continue;
    EXPECT_LE(bin.accuracy_low(), bin.accuracy());
    EXPECT_GE(bin.accuracy_high(), bin.accuracy());
    EXPECT_LT(bin.accuracy_low(), bin.accuracy_high());
  }
  EXPECT_EQ(rows, 100);

  request.mutable_report_mask()->add_paths("served.eec");
  const auto refused = api_->WatchCalibration(request);
  EXPECT_FALSE(refused->Read(&response));
  const CallStatus status = refused->Finish();
  EXPECT_EQ(status.code, absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(status.message, HasSubstr("the fields of CalibrationMetrics are n, accuracy"));
}

}  // namespace
}  // namespace calserve::e2e
