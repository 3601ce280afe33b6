// A device that does not answer any more: what clients are told, and how the process ends. The server is the
// real one but for the device, which the test can break (lost_device_model.cc).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/end_to_end/test_images.h"
#include "tests/unit/http/client_connection.h"

namespace calserve::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class DeviceLostTest : public ::testing::Test {
 protected:
  void Start(const std::vector<std::string>& flags, const std::string& models = DemoModels()) {
    server_.emplace(ServerFlags{.model_repository = models,
                                .data_dir = data_dir_.path(),
                                .admin_listen = "127.0.0.1:0",
                                .more = flags,
                                .program = BuiltProgram("tests/end_to_end/lost_device_server")});
    ASSERT_TRUE(server_->WaitUntilServing()) << server_->log();
    api_.emplace(server_->address());
  }
  static v1::PredictRequest Request(float first) {
    std::vector<float> values(kImageSide * kImageSide);
    values[0] = first;
    return TensorRequest(
        {std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float))});
  }
  // What the admin port answers, status line and body.
  std::string Ask(const std::string& path) {
    Connection connection(server_->admin_address());
    if (!connection.Send("GET " + path + " HTTP/1.0\r\nHost: localhost\r\n\r\n")) return "no connection";
    return connection.ReadToEnd();
  }
  void ExpectReady() {
    EXPECT_THAT(Ask("/readyz"), AllOf(HasSubstr(" 200 "), HasSubstr("\r\n\r\nready\n")));
    EXPECT_THAT(Ask("/metrics"), HasSubstr("\ncalserve_ready 1\n"));
  }
  // The process lives and answers, and must not be sent requests.
  void ExpectNotReady() {
    EXPECT_THAT(Ask("/readyz"), AllOf(HasSubstr(" 503 "), HasSubstr("not ready: "), HasSubstr("lost\n")));
    EXPECT_THAT(Ask("/healthz"), HasSubstr(" 200 "));
    EXPECT_THAT(Ask("/metrics"), HasSubstr("\ncalserve_ready 0\n"));
  }
  void LoseTheDevice() {
    const CallStatus status = api_->Predict(Request(666)).status;
    EXPECT_EQ(status.code, absl::StatusCode::kUnavailable) << status;
    EXPECT_EQ(status.reason, "DEVICE_LOST");
  }

  TempDir data_dir_;
  std::optional<ServerProcess> server_;
  std::optional<Api> api_;
};

TEST_F(DeviceLostTest, TheServerDrainsAndExitsSoThatItIsRestarted) {
  Start({"--grpc-lame-duck", "2s"});
  const auto reply = api_->Predict(Request(1));
  ASSERT_TRUE(reply.ok()) << reply.status;
  const auto watch = api_->WatchHealth("");
  Health health = Health::kUnknown;
  ASSERT_TRUE(watch->Read(&health));
  EXPECT_EQ(health, Health::kServing);
  ExpectReady();
  LoseTheDevice();
  ASSERT_TRUE(watch->Read(&health));
  EXPECT_EQ(health, Health::kNotServing);
  ExpectNotReady();
  // Feedback needs no device.
  v1::SubmitFeedbackRequest feedback;
  *feedback.add_items() = Item(reply->predictions(0).ticket(), 3);
  const auto stored = api_->SubmitFeedback(feedback);
  ASSERT_TRUE(stored.ok()) << stored.status;
  EXPECT_THAT(Outcomes(stored.response), ::testing::ElementsAre(v1::FEEDBACK_OUTCOME_ACCEPTED));
  EXPECT_EQ(server_->WaitForExit(absl::Seconds(30)), 6) << server_->log();
  EXPECT_NE(server_->log().find("test:0 does not answer any more"), std::string::npos) << server_->log();
}

TEST_F(DeviceLostTest, ASignalDuringThatDrainChangesNeitherTheDrainNorTheExitCode) {
  Start({"--grpc-lame-duck", "2s"});
  LoseTheDevice();
  ASSERT_TRUE(server_->WaitForLine("device lost: not ready", absl::Seconds(20)).has_value());
  server_->Signal(SIGTERM);  // An orchestrator has seen the readiness.
  ASSERT_TRUE(api_->ListModels().ok());
  EXPECT_EQ(server_->WaitForExit(absl::Seconds(30)), 6) << server_->log();
  EXPECT_THAT(server_->log(), HasSubstr("stopped"));
}

TEST_F(DeviceLostTest, ADrainDoesNotWaitForADeviceThatHangsAndLosesNoLabel) {
  Start({"--grpc-drain-timeout", "200ms"});
  const auto reply = api_->Predict(Request(1));
  ASSERT_TRUE(reply.ok()) << reply.status;
  std::jthread hanging([this] { EXPECT_FALSE(api_->Predict(Request(667)).ok()); });
  const absl::Time end = absl::Now() + absl::Seconds(30);
  while (!absl::StrContains(Ask("/metrics"),
                            "calserve_instances_busy{model=\"fashion_mnist\",version=\"1\"} 1")) {
    ASSERT_LT(absl::Now(), end) << "the batch never begins";
  }
  v1::SubmitFeedbackRequest feedback;
  *feedback.add_items() = Item(reply->predictions(0).ticket(), 3);
  ASSERT_TRUE(api_->SubmitFeedback(feedback).ok());
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->WaitForExit(absl::Seconds(30)), 0) << server_->log();
  EXPECT_THAT(server_->log(), AllOf(HasSubstr("calls do not end"), HasSubstr("stopped")));
  hanging.join();

  Start({});
  WaitForLabels(*api_, 0, 1);
}

// A version whose warm-up sample loses the device.
class VersionThatLosesTheDevice : public DeviceLostTest {
 protected:
  VersionThatLosesTheDevice() { fs::copy(DemoModels(), scratch_ / "models", fs::copy_options::recursive); }

  void StartPolling(const std::string& trial) {
    Start({"--repository-control", "poll", "--repository-poll-interval", "50ms", "--repository-trial", trial},
          scratch_ / "models");
  }
  void Deploy() {
    const fs::path version = scratch_ / "2";
    fs::copy(DemoModels() + "/fashion_mnist/1", version, fs::copy_options::recursive);
    fs::create_directory(version / "warmup");
    std::ofstream(version / "warmup/loses.npy", std::ios::binary) << Npy(666);
    std::ofstream(version / "warmup/expected.json")
        << R"({"format": 1, "samples": [{"file": "loses.npy", "top_classes": ["Coat"]}]})";
    fs::rename(version, scratch_ / "models/fashion_mnist/2");
  }
  // An input that begins with `first`, as NumPy writes it.
  static std::string Npy(float first) {
    std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 28, 28), }";
    header.resize(128 - 10 - 1, ' ');
    std::vector<float> values(kImageSide * kImageSide);
    values[0] = first;
    return std::string("\x93NUMPY\x01\0\x76\0", 10) + header + "\n" +
           std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  }

  TempDir scratch_;
};

TEST_F(VersionThatLosesTheDevice, LosesItInItsTrialOnly) {
  StartPolling("serving");
  Deploy();
  ASSERT_TRUE(server_->WaitForLine("version=2 state=UNAVAILABLE", absl::Seconds(30)).has_value())
      << server_->log();
  EXPECT_THAT(server_->log(),
              HasSubstr("its trial, a process of its own that loads it first, lost the device"));
  ExpectReady();
  EXPECT_TRUE(api_->Predict(Request(1)).ok());
}

TEST_F(VersionThatLosesTheDevice, EndsTheStartOfAServerThatARestartMayHelp) {
  Deploy();
  const std::string models = scratch_ / "models";
  server_.emplace(ServerFlags{.model_repository = models,
                              .data_dir = data_dir_.path(),
                              .program = BuiltProgram("tests/end_to_end/lost_device_server")});
  EXPECT_EQ(server_->WaitForExit(absl::Seconds(30)), 6) << server_->log();
}

TEST_F(VersionThatLosesTheDevice, EndsTheServerThatLoadsItWithoutATrial) {
  StartPolling("never");
  Deploy();
  EXPECT_EQ(server_->WaitForExit(absl::Seconds(30)), 6) << server_->log();
}

TEST_F(DeviceLostTest, OrStaysForWhatIsLeftAndIsNotReady) {
  Start({"--device-error-policy", "stay"});
  const auto watch = api_->WatchHealth("");
  Health health = Health::kUnknown;
  ASSERT_TRUE(watch->Read(&health));
  EXPECT_EQ(health, Health::kServing);
  ExpectReady();
  LoseTheDevice();
  ASSERT_TRUE(watch->Read(&health));
  EXPECT_EQ(health, Health::kNotServing);
  ExpectNotReady();
  EXPECT_FALSE(server_->WaitForExit(absl::Milliseconds(300)).has_value()) << server_->log();
  EXPECT_TRUE(api_->ListModels().ok());
  LoseTheDevice();
  ExpectNotReady();
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->WaitForExit(absl::Seconds(30)), 0) << server_->log();
}

}  // namespace
}  // namespace calserve::e2e
