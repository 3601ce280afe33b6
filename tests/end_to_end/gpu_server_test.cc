// The whole server with its model on a GPU: what it answers is what it answers on the CPU, one row or many at
// once, and labels of it count. Skipped, visibly, where there is no GPU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"

namespace calserve::e2e {
namespace {

namespace fs = std::filesystem;

using ::testing::FloatNear;
using ::testing::Pointwise;

constexpr char kDevice[] = "cuda";
constexpr float kTolerance = 1e-3f;  // of a logit of up to 53: another order of sums
constexpr int kRows = 200;

class GpuServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Start(on_gpu_, kDevice);
    if (!on_gpu_->WaitUntilServing()) {
      ASSERT_THAT(on_gpu_->log(), ::testing::HasSubstr("device cuda is not there"));
      GTEST_SKIP() << "device cuda is not there";
    }
    Start(on_cpu_, "cpu");
    ASSERT_TRUE(on_cpu_->WaitUntilServing()) << on_cpu_->log();
  }

  static std::vector<float> Logits(const Api& api, int begin, int rows) {
    v1::PredictRequest request = TestTensorRequest(begin, rows);
    request.mutable_options()->set_return_logits(true);
    const auto reply = api.Predict(request);
    EXPECT_TRUE(reply.ok()) << reply.status;
    std::vector<float> logits;
    for (const v1::Prediction& prediction : reply->predictions())
      logits.insert(logits.end(), prediction.logits().begin(), prediction.logits().end());
    return logits;
  }

  std::optional<ServerProcess> on_gpu_, on_cpu_;

 private:
  // With the demo model on `device`.
  void Start(std::optional<ServerProcess>& server, const std::string& device) {
    const std::string models = scratch_ / device;
    fs::create_directories(models);
    fs::copy(DemoModels() + "/fashion_mnist", models + "/fashion_mnist", fs::copy_options::recursive);
    const std::string yaml = models + "/fashion_mnist/model.yaml";
    std::ifstream in(yaml);
    const std::string text(std::istreambuf_iterator<char>(in), {});
    ASSERT_TRUE(absl::StrContains(text, "device: auto"));
    std::ofstream(yaml) << absl::StrReplaceAll(text, {{"device: auto", "device: " + device}});
    server.emplace(ServerFlags{.model_repository = models, .data_dir = scratch_ / (device + "-data")});
  }

  TempDir scratch_;
};

TEST_F(GpuServerTest, AnswersAsOnTheCpuAndItsLabelsCount) {
  const Api gpu(on_gpu_->address()), cpu(on_cpu_->address());
  EXPECT_THAT(gpu.GetModel(kModel)->model().versions(0).device(), ::testing::StartsWith(kDevice));
  for (const int rows : {1, 3, 32})
    EXPECT_THAT(Logits(gpu, 0, rows), Pointwise(FloatNear(kTolerance), Logits(cpu, 0, rows))) << rows;

  const std::vector<Labelled> predictions = PredictTestImages(gpu, 0, kRows);
  const auto right =
      std::count_if(predictions.begin(), predictions.end(), [](const Labelled& one) { return one.correct; });
  EXPECT_GT(right, kRows * 8 / 10);
  Label(gpu, predictions);
  EXPECT_EQ(WaitForLabels(gpu, 0, kRows).served().n(), kRows);
  on_gpu_->Signal(SIGTERM);
  EXPECT_EQ(on_gpu_->WaitForExit(absl::Seconds(30)), 0) << on_gpu_->log();
}

}  // namespace
}  // namespace calserve::e2e
