// Two models on one device: the flood of one is refused before the other is kept waiting.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/end_to_end/test_images.h"

namespace calserve::e2e {
namespace {

namespace fs = std::filesystem;

class FairnessTest : public ::testing::Test {
 protected:
  FairnessTest() {
    fs::create_directories(dir_ / "models");
    for (const char* name : {"flooded", "quiet"}) {
      fs::copy(DemoModels() + "/fashion_mnist", dir_ / "models/" + name, fs::copy_options::recursive);
    }
    server_.emplace(
        ServerFlags{.model_repository = dir_ / "models",
                    .data_dir = dir_ / "data",
                    .more = {"--batching-max-queue-rows", "64", "--decoding-max-queued-images", "64"}});
  }

  static v1::PredictRequest For(const std::string& model, v1::PredictRequest request) {
    request.set_model(model);
    return request;
  }

  // Predicts with "quiet" while "flooded" is sent `flood` without pause; returns how many of the flood were
  // refused.
  int64_t Flood(const v1::PredictRequest& flood, const v1::PredictRequest& quiet) {
    std::atomic<bool> stop = false;
    std::atomic<int64_t> refused = 0, answered = 0, failed = 0;
    std::vector<std::jthread> callers;
    for (int caller = 0; caller < kFloodCallers; ++caller) {
      callers.emplace_back([&] {
        const Api api(server_->address());
        while (!stop) {
          const CallStatus status = api.Predict(flood).status;
          ++(status.ok() ? answered : status.code == absl::StatusCode::kResourceExhausted ? refused : failed);
        }
      });
    }
    while (refused == 0 && failed == 0) std::this_thread::yield();
    const Api api(server_->address());
    for (int i = 0; i < kQuietCalls; ++i) {
      const auto reply = api.Predict(quiet);
      EXPECT_TRUE(reply.ok()) << reply.status;
    }
    stop = true;
    callers.clear();
    EXPECT_GT(answered, 0) << "nor is the flood starved";
    EXPECT_EQ(failed, 0);
    return refused;
  }

  static constexpr int kFloodCallers = 12, kQuietCalls = 200;

  TempDir dir_;
  std::optional<ServerProcess> server_;
};

TEST_F(FairnessTest, AFloodOfTensorsRefusesNothingOfAnotherModel) {
  ASSERT_TRUE(server_->WaitUntilServing()) << server_->log();
  EXPECT_GT(Flood(For("flooded", TestTensorRequest(0, 32)), For("quiet", TestTensorRequest(0, 1))), 0);
}

TEST_F(FairnessTest, AFloodOfImagesRefusesNothingOfAnotherModel) {
  ASSERT_TRUE(server_->WaitUntilServing()) << server_->log();
  const std::vector<std::string> many(32, TestImages::Get().Png(0));
  EXPECT_GT(Flood(For("flooded", ImageRequest(many)), For("quiet", ImageRequest({many[0]}))), 0);
}

}  // namespace
}  // namespace calserve::e2e
