// Automatic refit on a stream of real images whose noise level jumps half-way, against the real server: real
// gRPC, real SQLite.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/end_to_end/api.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/end_to_end/test_images.h"

namespace calserve::e2e {
namespace {

namespace fs = std::filesystem;

constexpr int kPixels = kImageSide * kImageSide;
constexpr int kBatch = 32;
constexpr float kMean = 0.2860f, kStd = 0.3530f;  // of the demo's model.yaml
constexpr double kBar = 0.05;                     // of the ECE: a temperature cannot make noisy images exact

// The 28×28 pixels of a test image with Gaussian noise of `deviation` grey levels, cut to [0, 255].
std::string NoisyTensor(int image, double deviation, std::mt19937& generator) {
  std::normal_distribution<float> noise(0, static_cast<float>(deviation));
  std::vector<float> values(kPixels);
  const uint8_t* const pixels = TestImages::Get().pixels(image);
  for (int i = 0; i < kPixels; ++i) {
    const float grey = deviation > 0 ? pixels[i] + std::round(noise(generator)) : pixels[i];
    values[i] = (std::clamp(grey, 0.0f, 255.0f) / 255.0f - kMean) / kStd;
  }
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
}

class RefitTest : public ::testing::Test {
 protected:
  // The demo model with `refit` in its model.yaml.
  void Start(const std::string& refit) {
    const fs::path model = fs::path(models_.path()) / kModel;
    if (!fs::exists(model)) fs::copy(fs::path(DemoModels()) / kModel, model, fs::copy_options::recursive);
    fs::copy_file(fs::path(DemoModels()) / kModel / "model.yaml", model / "model.yaml",
                  fs::copy_options::overwrite_existing);
    std::ofstream(model / "model.yaml", std::ios::app) << refit;
    StartServer();
  }
  void StartServer() {
    api_.reset();
    server_ = std::make_unique<ServerProcess>(
        ServerFlags{.model_repository = models_.path(), .data_dir = data_dir_.path()});
    ASSERT_TRUE(server_->WaitUntilServing()) << server_->log();
    api_ = std::make_unique<Api>(server_->address());
  }

  // Predicts the next `count` images of the stream and labels them.
  void Stream(int count, double noise) {
    for (int first = 0; first < count; first += kBatch) {
      std::vector<std::string> tensors;
      std::vector<int> labels;
      for (int i = 0; i < kBatch; ++i, ++next_image_) {
        const int image = next_image_ % TestImages::Get().size();
        tensors.push_back(NoisyTensor(image, noise, generator_));
        labels.push_back(TestImages::Get().label(image));
      }
      const auto reply = api_->Predict(TensorRequest(tensors));
      ASSERT_TRUE(reply.ok()) << reply.status;
      std::vector<Labelled> labelled(kBatch);
      for (int i = 0; i < kBatch; ++i) {
        labelled[i].ticket = reply->predictions(i).ticket();
        labelled[i].label = labels[i];
      }
      Label(*api_, labelled);
    }
  }
  // Set up as somebody would who starts: fitted to clean images and activated by hand; then `refit` is put
  // into model.yaml, and the server started again.
  void CalibrateOnCleanImages(const std::string& refit) {
    Start("");
    Stream(2048, 0);
    const auto fitted = Fit(*api_, StoredFit(v1::CALIBRATION_METHOD_TEMPERATURE));
    ASSERT_TRUE(fitted.ok()) << fitted.status;
    EXPECT_EQ(fitted->fit_position(), 2048);
    Stream(256, 0);
    const v1::WindowReport shadow = WaitForLabels(*api_, fitted->version(), 256);
    EXPECT_TRUE(shadow.shadow());
    EXPECT_EQ(shadow.shadow_after_position(), 2048);
    EXPECT_EQ(shadow.served().n(), 256) << "served by softmax, scored as if by the new one";
    const auto activated = api_->Activate(ActivateRequest(fitted->version(), 0));
    ASSERT_TRUE(activated.ok()) << activated.status;
    EXPECT_EQ(activated->comparison().n(), 256) << "labels that neither was fitted on";
    EXPECT_EQ(activated->comparison().first_position(), 2049);
    EXPECT_EQ(activated->comparison().last_position(), 2304);
    server_->Signal(SIGTERM);
    ASSERT_TRUE(server_->WaitForExit(absl::Seconds(30)).has_value());
    Start(refit);
  }
  v1::GetRefitStatusResponse Status() {
    v1::GetRefitStatusRequest request;
    request.set_model(kModel);
    const auto reply = api_->RefitStatus(request);
    EXPECT_TRUE(reply.ok()) << reply.status;
    return reply.response;
  }
  // Streams until an attempt has ended in any way, at most `most` images.
  v1::GetRefitStatusResponse StreamUntilAttempts(int attempts, double noise, int most) {
    v1::GetRefitStatusResponse status = Status();
    for (int sent = 0; sent < most; sent += 256) {
      Stream(256, noise);
      // Labels of the look that is due, before more are sent than it needs.
      const absl::Time end = absl::Now() + absl::Seconds(20);
      do {
        absl::SleepFor(absl::Milliseconds(50));
        status = Status();
      } while (status.labels_needed() == 0 && status.state() >= v1::REFIT_STATE_GATHERING &&
               Ended(status) < attempts && absl::Now() < end);
      if (Ended(status) >= attempts) return status;
    }
    return status;
  }
  static int Ended(const v1::GetRefitStatusResponse& status) {
    int ended = 0;
    for (const v1::RefitAttempt& attempt : status.attempts()) {
      ended += attempt.outcome() != v1::REFIT_OUTCOME_JUDGING ? 1 : 0;
    }
    return ended;
  }
  v1::WindowReport Window(int64_t calibrator_version, const std::string& window) {
    return api_->Report(WindowRequest(calibrator_version, window))->report();
  }

  TempDir data_dir_, models_;
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<Api> api_;
  std::mt19937 generator_{7};
  int next_image_ = 0;
};

constexpr char kOnAlarm[] = "\nrefit: {on: alarm, least_labels: 2000, cooldown: 1s}\n";

TEST_F(RefitTest, ANoiseJumpRaisesTheAlarmTheRefitActivatesAndTheEceComesBackBelowItsBar) {
  CalibrateOnCleanImages(kOnAlarm);

  // From here on nobody touches anything.
  Stream(2048, 0);
  EXPECT_LT(Window(1, "last_1000").served().ece(), kBar);
  EXPECT_EQ(Status().attempts_size(), 0);

  const v1::GetRefitStatusResponse status = StreamUntilAttempts(1, 40, 8192);
  ASSERT_EQ(status.attempts_size(), 1) << status.DebugString() << server_->log();
  const v1::RefitAttempt& attempt = status.attempts(0);
  EXPECT_EQ(attempt.outcome(), v1::REFIT_OUTCOME_ACTIVATED) << attempt.reason();
  EXPECT_EQ(attempt.incumbent_version(), 1);
  EXPECT_EQ(status.calibrator_version(), 2) << status.DebugString();
  const v1::WindowReport before = Window(1, "last_1000");
  EXPECT_GT(before.served().ece(), kBar) << "the old version's windows stay readable";
  EXPECT_TRUE(before.alarm().has_since());

  Stream(3072, 40);
  const v1::WindowReport after = WaitForLabels(*api_, 2, 3072);
  EXPECT_LT(after.served().ece(), kBar);
  EXPECT_EQ(Status().calibrator_version(), 2);
  RecordProperty("ece_before", absl::StrCat(before.served().ece()));
  RecordProperty("ece_after", absl::StrCat(after.served().ece()));
  std::cout << "ECE before " << before.served().ece() << ", after " << after.served().ece() << ": "
            << attempt.reason() << "\n";

  // One call goes back.
  v1::RollbackCalibratorRequest rollback;
  rollback.set_model(kModel);
  rollback.set_expected_active_version(2);
  const auto rolled_back = api_->Rollback(rollback);
  ASSERT_TRUE(rolled_back.ok()) << rolled_back.status;
  EXPECT_EQ(rolled_back->calibrator().version(), 1);
  EXPECT_EQ(rolled_back->comparison().incumbent_version(), 2);
  EXPECT_GT(rolled_back->comparison().nll_difference(), 0) << "the answer says that it was better";
}

// Wherever a kill falls, what is active is what the store says, no attempt is left under way, and no label
// judges twice; and in the end the refit activates.
TEST_F(RefitTest, KilledAtAnyPointItLeavesNothingHalfDoneAndGoesOn) {
  CalibrateOnCleanImages(kOnAlarm);
  std::uniform_int_distribution<int> milliseconds(0, 1500);
  int64_t active = 1;
  for (int kill = 0; kill < 5 && active == 1; ++kill) {
    Stream(512, 50);
    absl::SleepFor(absl::Milliseconds(milliseconds(generator_)));
    server_->Signal(SIGKILL);
    ASSERT_TRUE(server_->WaitForExit(absl::Seconds(30)).has_value());
    StartServer();
    const v1::GetRefitStatusResponse status = Status();
    active = status.calibrator_version();
    v1::ListCalibratorsRequest list;
    list.set_model(kModel);
    int actives = 0;
    const auto listed = api_->ListCalibrators(list);
    for (const v1::Calibrator& calibrator : listed->calibrators()) {
      if (calibrator.state() != v1::CALIBRATOR_STATE_ACTIVE) continue;
      ++actives;
      EXPECT_EQ(calibrator.version(), active);
    }
    EXPECT_EQ(actives, 1);
    int64_t judged = INT64_MAX;
    for (const v1::RefitAttempt& attempt : status.attempts()) {  // The newest first.
      if (attempt.incumbent_version() != 1) continue;
      EXPECT_LT(attempt.judged_position(), judged);
      judged = attempt.judged_position();
    }
  }
  for (int sent = 0; sent < 16384 && active == 1; sent += 512) {
    Stream(512, 50);
    absl::SleepFor(absl::Milliseconds(300));
    active = Status().calibrator_version();
  }
  EXPECT_GT(active, 1) << Status().DebugString() << server_->log();
}

}  // namespace
}  // namespace calserve::e2e
