// A server whose machine is gone, or out of reach, says nothing any more: a stopped process stands for it,
// whose kernel still takes what is sent.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "client/client.h"
#include "client/errors.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"

namespace calserve::e2e {
namespace {

class VanishedServerTest : public ::testing::Test {
 protected:
  client::Client Connect(const client::RetryOptions& retry) {
    client::ClientOptions options;
    options.target = server_.address();
    options.keepalive_time = absl::Seconds(1);
    options.retry = retry;
    return *client::Client::Connect(options);
  }

  void SetUp() override { ASSERT_TRUE(server_.WaitUntilServing()) << server_.log(); }

  TempDir dir_;
  ServerProcess server_{
      ServerFlags{.data_dir = dir_ / "data", .more = {"--grpc-min-ping-interval", "500ms"}}};
};

TEST_F(VanishedServerTest, AWatchSaysSoInsteadOfWaitingForEver) {
  const auto watch = Connect({.max_attempts = 1}).WatchCalibration({.model = "fashion_mnist"});
  ASSERT_TRUE(watch->Next().ok()) << server_.log();
  server_.Signal(SIGSTOP);
  const absl::Status status = watch->Next().status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_TRUE(client::IsUnreachable(status)) << status;
}

TEST_F(VanishedServerTest, AWatchGoesOnWhereTheServerIsThereAgain) {
  const auto watch = Connect({.max_attempts = 10}).WatchCalibration({.model = "fashion_mnist"});
  ASSERT_TRUE(watch->Next().ok()) << server_.log();
  std::jthread later([&] {
    absl::SleepFor(absl::Seconds(14));
    server_.Signal(SIGCONT);
  });
  server_.Signal(SIGSTOP);
  EXPECT_TRUE(watch->Next().ok()) << "what a watch begins with, for this one was opened again: no label came";
}

TEST_F(VanishedServerTest, AWatchOutlivesAShortSilence) {
  const auto watch = Connect({.max_attempts = 1}).WatchCalibration({.model = "fashion_mnist"});
  ASSERT_TRUE(watch->Next().ok()) << server_.log();
  std::jthread later([&] {
    absl::SleepFor(absl::Seconds(6));
    server_.Signal(SIGCONT);
    absl::SleepFor(absl::Seconds(2));
    watch->Cancel();
  });
  server_.Signal(SIGSTOP);
  const auto reports = watch->Next();
  ASSERT_TRUE(reports.ok()) << reports.status();
  EXPECT_FALSE(reports->has_value());
}

// As an upload over a slow network: its answers come late, and nothing is wrong.
TEST_F(VanishedServerTest, ACallWithADeadlineWaitsForASlowServer) {
  const client::Client client = Connect({.max_attempts = 1});
  ASSERT_TRUE(client.ListModels().ok()) << server_.log();
  std::jthread later([&] {
    absl::SleepFor(absl::Seconds(15));
    server_.Signal(SIGCONT);
  });
  server_.Signal(SIGSTOP);
  const absl::Status status = client.ListModels().status();
  EXPECT_TRUE(status.ok()) << status;
}

// Nobody listens for 8 s, then a server does again: whoever waits for his next attempt has a connection soon.
TEST_F(VanishedServerTest, ACallAStreamAndAWatchComeBackSoonAfterAnOutage) {
  const client::Client client = Connect({.max_attempts = 1000, .max_backoff = absl::Milliseconds(500)});
  const auto watch = client.WatchCalibration({.model = "fashion_mnist"});
  ASSERT_TRUE(watch->Next().ok()) << server_.log();
  server_.Signal(SIGKILL);
  ASSERT_TRUE(server_.WaitForExit(absl::Seconds(10)).has_value());

  absl::Time called, streamed, watched;
  std::vector<std::jthread> waiting;
  waiting.emplace_back([&] {
    EXPECT_TRUE(client.ListModels().ok());
    called = absl::Now();
  });
  waiting.emplace_back([&] {
    // Any answer will do; the model has no such inputs.
    const auto stream = client.OpenPredictStream({}, [](int64_t, const auto&) {});
    EXPECT_TRUE(stream->Send(1, {.model = "fashion_mnist"}).ok());
    EXPECT_TRUE(stream->Finish().ok());
    streamed = absl::Now();
  });
  waiting.emplace_back([&] {
    EXPECT_TRUE(watch->Next().ok());
    watched = absl::Now();
  });
  absl::SleepFor(absl::Seconds(8));
  ServerProcess again({.data_dir = dir_ / "data", .listen = server_.address()});
  ASSERT_TRUE(again.WaitUntilServing()) << again.log();
  const absl::Time back = absl::Now();
  waiting.clear();
  for (const absl::Time time : {called, streamed, watched}) EXPECT_LT(time - back, absl::Seconds(5));
}

}  // namespace
}  // namespace calserve::e2e
