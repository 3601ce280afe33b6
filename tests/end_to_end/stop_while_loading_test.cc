// While a model is loaded, which nothing can interrupt: calls that need it are told so, and SIGTERM still
// stops the server in time. It is the real one but for its loads, which the test holds
// (lost_device_model.cc).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"

namespace calserve::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr absl::Duration kTimeout = absl::Seconds(30);

class StopWhileLoadingTest : public ::testing::Test {
 protected:
  StopWhileLoadingTest() { fs::copy(DemoModels(), Repository(), fs::copy_options::recursive); }

  std::string Repository() const { return scratch_ / "models"; }
  std::string Version(int version) const { return absl::StrCat(Repository(), "/", kModel, "/", version); }
  void HoldLoads() const { std::ofstream(scratch_ / "hold") << "\n"; }
  void LetLoadsGo() const { fs::remove(scratch_ / "hold"); }

  void Start(const std::vector<std::string>& flags) {
    server_.emplace(ServerFlags{.model_repository = Repository(),
                                .data_dir = data_dir_.path(),
                                .more = flags,
                                .program = BuiltProgram("tests/end_to_end/lost_device_server")});
  }
  void StartHeld(const std::vector<std::string>& flags) {
    HoldLoads();
    Start(flags);
    ASSERT_TRUE(WaitUntilLoading(1)) << server_->log();
  }
  bool WaitUntilLoading(int version) {
    return server_->WaitForLine(absl::StrCat("version=", version, " state=LOADING"), kTimeout).has_value();
  }
  void SignalAndWaitUntilItIsTaken() {
    server_->Signal(SIGTERM);
    ASSERT_TRUE(server_->WaitForLine("stopping", kTimeout).has_value()) << server_->log();
  }

  TempDir data_dir_, scratch_;
  std::optional<ServerProcess> server_;
};

TEST_F(StopWhileLoadingTest, ASignalEndsTheStartAfterTheLoadUnderWay) {
  StartHeld({});
  SignalAndWaitUntilItIsTaken();
  EXPECT_FALSE(server_->WaitForExit(absl::Milliseconds(100)).has_value()) << "within the drain timeout";
  LetLoadsGo();
  EXPECT_EQ(server_->WaitForExit(kTimeout), 0) << server_->log();
  EXPECT_THAT(server_->log(), AllOf(HasSubstr("stopped"), ::testing::Not(HasSubstr("serving address"))));
}

TEST_F(StopWhileLoadingTest, AndNotLaterThanTheDrainTimeoutSaysWhatWasLoading) {
  StartHeld({"--grpc-drain-timeout", "50ms"});
  server_->Signal(SIGINT);
  EXPECT_EQ(server_->WaitForExit(kTimeout), 0) << server_->log();
  EXPECT_THAT(server_->log(), HasSubstr("still loading model=fashion_mnist version=1"));
  // The store is none the worse.
  LetLoadsGo();
  Start({});
  EXPECT_TRUE(server_->WaitUntilServing()) << server_->log();
}

TEST_F(StopWhileLoadingTest, ASecondSignalEndsTheStartAtOnce) {
  StartHeld({"--grpc-drain-timeout", "10m"});
  SignalAndWaitUntilItIsTaken();
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->WaitForExit(kTimeout), 128 + SIGTERM) << server_->log();
}

TEST_F(StopWhileLoadingTest, UntilThenACallThatNamesTheVersionIsToldToAskAgain) {
  Start({"--repository-control", "poll", "--repository-poll-interval", "50ms"});
  ASSERT_TRUE(server_->WaitUntilServing()) << server_->log();
  Api api(server_->address());
  v1::PredictRequest request = TestTensorRequest(0, 1);
  request.set_model_version(2);
  EXPECT_EQ(api.Predict(request).status.reason, "MODEL_VERSION_NOT_FOUND");
  HoldLoads();
  fs::copy(Version(1), scratch_ / "2", fs::copy_options::recursive);
  fs::rename(scratch_ / "2", Version(2));
  ASSERT_TRUE(WaitUntilLoading(2)) << server_->log();
  const CallStatus status = api.Predict(request).status;
  EXPECT_EQ(status.code, absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(status.reason, "MODEL_NOT_READY");
  EXPECT_THAT(status.message, HasSubstr("version 2 is not at ready state: LOADING"));
  LetLoadsGo();
  for (const absl::Time end = absl::Now() + kTimeout; !api.Predict(request).ok() && absl::Now() < end;) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  EXPECT_TRUE(api.Predict(request).ok()) << server_->log();
}

TEST_F(StopWhileLoadingTest, ADrainDoesNotWaitLongerThanItsTimeoutAndLosesNoLabel) {
  Start({"--repository-control", "poll", "--repository-poll-interval", "50ms", "--grpc-drain-timeout", "50ms",
         "--repository-trial", "never"});
  ASSERT_TRUE(server_->WaitUntilServing()) << server_->log();
  HoldLoads();
  fs::copy(Version(1), scratch_ / "2", fs::copy_options::recursive);
  fs::rename(scratch_ / "2", Version(2));
  ASSERT_TRUE(WaitUntilLoading(2)) << server_->log();

  Api api(server_->address());
  const auto predicted = api.Predict(TestTensorRequest(0, 1));
  ASSERT_TRUE(predicted.ok()) << predicted.status;
  v1::SubmitFeedbackRequest feedback;
  *feedback.add_items() = Item(predicted->predictions(0).ticket(), 3);
  const auto stored = api.SubmitFeedback(feedback);
  EXPECT_THAT(Outcomes(stored.response), ::testing::ElementsAre(v1::FEEDBACK_OUTCOME_ACCEPTED));

  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->WaitForExit(kTimeout), 0) << server_->log();
  EXPECT_THAT(server_->log(), HasSubstr("still loading model=fashion_mnist version=2"));

  LetLoadsGo();
  fs::remove_all(Version(2));
  Start({});
  ASSERT_TRUE(server_->WaitUntilServing()) << server_->log();
  Api again(server_->address());
  int64_t labels = 0;
  for (const absl::Time end = absl::Now() + kTimeout; labels == 0 && absl::Now() < end;) {
    labels = again.Report(WindowRequest(0))->report().served().n();
  }
  EXPECT_EQ(labels, 1);
}

}  // namespace
}  // namespace calserve::e2e
