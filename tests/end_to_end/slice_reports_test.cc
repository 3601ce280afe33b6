// Slices of real predictions: their reports are those of the labels that are known to be in them, and outlive
// kill -9 to the bit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>

#include "absl/time/clock.h"
#include "tests/end_to_end/api.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"

namespace calserve::e2e {
namespace {

using ::testing::HasSubstr;

constexpr int kBatches = 40;
constexpr int kBatch = 32;
constexpr int kBins = 15;

class SliceReportsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::copy(DemoModels(), scratch_ / "models", std::filesystem::copy_options::recursive);
    std::ofstream yaml(scratch_ / "models/fashion_mnist/model.yaml", std::ios::app);
    yaml << "alarm: {tolerance: 0.1}\nattributes:\n  camera: any\n  site: [a, b]\n";
    yaml.close();
    StartServer();
  }
  void StartServer() {
    api_.reset();
    server_ = std::make_unique<ServerProcess>(ServerFlags{.model_repository = scratch_ / "models",
                                                          .data_dir = scratch_ / "data",
                                                          .admin_listen = "127.0.0.1:0"});
    ASSERT_TRUE(server_->WaitUntilServing()) << server_->log();
    api_ = std::make_unique<Api>(server_->address());
  }
  void KillServer() {
    server_->Signal(SIGKILL);
    ASSERT_EQ(server_->WaitForExit(absl::Seconds(30)), 128 + SIGKILL);
  }

  static std::string CameraOf(int image) {
    if (image % 21 == 0) return "faulty";
    return image % 2 == 0 ? "north" : "south";
  }
  static std::string SiteOf(int image) { return std::string(1, static_cast<char>('a' + image % 4)); }
  static void AddAttribute(const std::string& key, const std::string& value, v1::Input* input) {
    v1::Attribute& attribute = *input->add_attributes();
    attribute.set_key(key);
    attribute.set_value(value);
  }

  // Real images with real labels, but those of the faulty camera are all labelled wrong. Every 7th image has
  // no attributes.
  void PredictAndLabel() {
    std::vector<Labelled> all;
    for (int batch = 0; batch < kBatches; ++batch) {
      v1::PredictRequest request = TestTensorRequest(batch * kBatch, kBatch);
      for (int i = 0; i < kBatch; ++i) {
        const int image = batch * kBatch + i;
        if (image % 7 == 3) continue;
        AddAttribute("camera", CameraOf(image), request.mutable_inputs(i));
        AddAttribute("site", SiteOf(image), request.mutable_inputs(i));
      }
      const std::vector<Labelled> known = PredictTestImages(*api_, batch * kBatch, kBatch);  // for the labels
      const auto reply = api_->Predict(request);
      ASSERT_TRUE(reply.ok()) << reply.status;
      for (int i = 0; i < kBatch; ++i) {
        const int image = batch * kBatch + i;
        Labelled labelled = known[i];
        labelled.ticket = reply->predictions(i).ticket();
        labelled.confidence = reply->predictions(i).confidence();
        const int predicted = reply->predictions(i).top_classes(0).index();
        if (image % 7 != 3) {
          if (CameraOf(image) == "faulty") labelled.label = (predicted + 1) % 10;
          labelled.correct = labelled.label == predicted;
          slices_[{"camera", CameraOf(image)}].push_back(labelled);
          slices_[{"site", SiteOf(image) < "c" ? SiteOf(image) : "other"}].push_back(labelled);
        }
        all.push_back(labelled);
      }
    }
    Label(*api_, all);
    WaitForLabels(*api_, 0, static_cast<int64_t>(all.size()));
  }

  v1::WindowReport Report(const std::string& key, const std::string& value, bool stored = false) {
    v1::GetCalibrationReportRequest request = WindowRequest(0);
    if (stored) request.mutable_stored();
    request.mutable_slice()->set_key(key);
    request.mutable_slice()->set_value(value);
    const auto reply = api_->Report(request);
    EXPECT_TRUE(reply.ok()) << reply.status;
    return reply->report();
  }
  // Every slice in every window, and its alarm, without the time of the report.
  std::string AllSlices() {
    std::string all;
    for (const char* window : {"last_1000", "last_10000", "last_1h", "last_24h"}) {
      v1::ListSlicesRequest request;
      request.set_model(kModel);
      request.set_window(window);
      auto reply = api_->ListSlices(request);
      EXPECT_TRUE(reply.ok()) << reply.status;
      for (v1::WindowReport& report : *reply.response.mutable_reports()) report.mutable_as_of()->clear_time();
      all += reply.response.DebugString();
    }
    return all;
  }

  TempDir scratch_;
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<Api> api_;
  std::map<std::pair<std::string, std::string>, std::vector<Labelled>> slices_;  // as they must be
};

// sum over bins of |sum of correct - confidence| / n; bin j holds j/15 < confidence <= (j+1)/15.
double EceOf(const std::vector<Labelled>& labels) {
  std::vector<double> gaps(kBins);
  for (const Labelled& label : labels) {
    int bin = 0;
    while (bin + 1 < kBins && static_cast<double>(bin + 1) / kBins < label.confidence) ++bin;
    gaps[bin] += (label.correct ? 1 : 0) - static_cast<double>(label.confidence);
  }
  double sum = 0;
  for (const double gap : gaps) sum += std::abs(gap);
  return sum / static_cast<double>(labels.size());
}

TEST_F(SliceReportsTest, AreThoseOfTheLabelsInThemLiveAndStoredAndAfterKill) {
  PredictAndLabel();
  ASSERT_EQ(slices_.size(), 6u);
  for (const auto& [slice, labels] : slices_) {
    for (const bool stored : {false, true}) {
      SCOPED_TRACE(slice.second + (stored ? " stored" : " live"));
      const v1::CalibrationMetrics served = Report(slice.first, slice.second, stored).served();
      ASSERT_EQ(served.n(), static_cast<int64_t>(labels.size()));
      double correct = 0, confidence = 0;
      for (const Labelled& label : labels) {
        correct += label.correct ? 1 : 0;
        confidence += label.confidence;
      }
      const double n = static_cast<double>(labels.size());
      EXPECT_NEAR(served.accuracy(), correct / n, 1e-12);
      EXPECT_NEAR(served.mean_confidence(), confidence / n, 1e-8);
      EXPECT_NEAR(served.ece(), EceOf(labels), 1e-8);
    }
  }
  const std::string before = AllSlices();
  EXPECT_THAT(before, HasSubstr("faulty"));
  KillServer();
  StartServer();
  WaitForLabels(*api_, 0, kBatches * kBatch);
  EXPECT_EQ(AllSlices(), before);
}

TEST_F(SliceReportsTest, OnlyTheSliceThatIsOffIsAlarmed) {
  PredictAndLabel();
  const auto alarms = api_->ListAlarms();
  ASSERT_TRUE(alarms.ok()) << alarms.status;
  ASSERT_EQ(alarms->alarms_size(), 7);
  for (const v1::ModelAlarm& alarm : alarms->alarms()) {
    const bool faulty = alarm.slice().value() == "faulty";
    EXPECT_EQ(alarm.alarm().state(), faulty ? v1::ALARM_STATE_RAISED : v1::ALARM_STATE_QUIET)
        << alarm.DebugString();
  }
}

}  // namespace
}  // namespace calserve::e2e
