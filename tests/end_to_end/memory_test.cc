// 100,000 requests of the demo model with mixed numbers of inputs, kinds and image sizes: what the server
// holds after them is what it held when it was warm.
#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_replace.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/end_to_end/test_images.h"

namespace calserve::e2e {
namespace {

namespace fs = std::filesystem;

constexpr int kCallers = 4;
constexpr int kWarmUp = 20'000, kRequests = 100'000;
constexpr int kMaxInputs = 8;
constexpr std::array<int, 4> kScales = {1, 2, 5, 9};  // 28×28 to 252×252 pixels

// The demo model, for images of any size.
std::string ResizingModel(const TempDir& dir) {
  const std::string model = dir / "models/fashion_mnist";
  fs::create_directories(fs::path(model).parent_path());
  fs::copy(DemoModels() + "/fashion_mnist", model, fs::copy_options::recursive);
  std::ostringstream yaml;
  yaml << std::ifstream(model + "/model.yaml").rdbuf();
  std::ofstream(model + "/model.yaml")
      << absl::StrReplaceAll(yaml.str(), {{"  color: grey", "  resize: [28, 28]\n  color: grey"}});
  return dir / "models";
}

v1::PredictRequest MixedRequest(std::mt19937& random) {
  const TestImages& images = TestImages::Get();
  const int inputs = 1 + static_cast<int>(random() % kMaxInputs);
  std::vector<std::string> encoded;
  for (int i = 0; i < inputs; ++i) {
    const int image = static_cast<int>(random() % images.size());
    switch (random() % 4) {
      case 0:
        encoded.push_back(images.Png(image));
        break;
      default:
        encoded.push_back(images.Jpeg(image, kScales[random() % kScales.size()]));
    }
  }
  return random() % 2 == 0 ? ImageRequest(encoded)
                           : TestTensorRequest(static_cast<int>(random() % images.size()), inputs);
}

void Send(const Api& api, int requests, unsigned seed) {
  std::mt19937 random(seed);
  // Made beforehand: encoding takes longer than predicting.
  std::vector<v1::PredictRequest> kinds;
  for (int i = 0; i < 200; ++i) kinds.push_back(MixedRequest(random));
  for (int i = 0; i < requests; ++i) {
    const auto reply = api.Predict(kinds[random() % kinds.size()]);
    ASSERT_TRUE(reply.ok()) << reply.status;
  }
}

void SendFromAll(const ServerProcess& server, int requests, unsigned seed) {
  std::vector<std::jthread> callers;
  for (int caller = 0; caller < kCallers; ++caller) {
    callers.emplace_back([&server, requests, seed, caller] {
      Send(Api(server.address()), requests / kCallers, seed + caller);
    });
  }
}

TEST(MemoryTest, MixedRequestsLeaveNothingBehind) {
  const TempDir dir;
  ServerFlags flags{.model_repository = ResizingModel(dir), .data_dir = dir / "data"};
  ServerProcess server(flags);
  ASSERT_TRUE(server.WaitUntilServing()) << server.log();
  SendFromAll(server, kWarmUp, 1);
  const int64_t warm_kb = server.StatusKilobytes("VmRSS");
  SendFromAll(server, kRequests, 1000);
  const int64_t end_kb = server.StatusKilobytes("VmRSS");
  std::cout << "resident " << warm_kb << " kB to " << end_kb << " kB\n";
  EXPECT_GT(warm_kb, 0);
  EXPECT_LT(end_kb, warm_kb * 1.01);
  server.Signal(SIGTERM);
  EXPECT_EQ(server.WaitForExit(absl::Seconds(40)), 0) << server.log();
}

}  // namespace
}  // namespace calserve::e2e
