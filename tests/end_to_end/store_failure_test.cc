// A store that fails under load makes feedback UNAVAILABLE and leaves predictions alone; when the cause is
// gone, feedback goes on without a restart, and nothing was lost or counted twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "absl/time/clock.h"
#include "tests/end_to_end/api.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/small_disk.h"
#include "tests/end_to_end/temp_dir.h"

namespace calserve::e2e {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(60);

// Labels without end, a few at a time, sending again what was not acknowledged; and predicts beside it.
class Load {
 public:
  explicit Load(const Api& api)
      : api_(api),
        labeller_([this] { LabelUntilStopped(); }),
        predictor_([this] { PredictUntilStopped(); }) {}
  ~Load() { Stop(); }

  void Stop() {
    stop_ = true;
    if (labeller_.joinable()) labeller_.join();
    if (predictor_.joinable()) predictor_.join();
  }

  // Wait for one more of its kind; false after a minute.
  bool WaitForAcknowledgement() { return WaitForOneMore(acknowledged_); }
  bool WaitForFailure() { return WaitForOneMore(failures_); }
  bool WaitForPredictions(int count) {
    for (int i = 0; i < count; ++i) {
      if (!WaitForOneMore(predictions_)) return false;
    }
    return true;
  }

  int64_t failed_predictions() const { return failed_predictions_; }
  // What failing calls said; all of them alike.
  CallStatus failure() const {
    std::lock_guard lock(mu_);
    return failure_;
  }
  std::set<absl::StatusCode> failure_codes() const {
    std::lock_guard lock(mu_);
    return failure_codes_;
  }
  // Labels acknowledged so far.
  int64_t labelled() const { return labelled_; }

 private:
  static bool WaitForOneMore(const std::atomic<int64_t>& counter) {
    const int64_t before = counter;
    const absl::Time deadline = absl::Now() + kTimeout;
    while (counter == before) {
      if (absl::Now() > deadline) return false;
      absl::SleepFor(absl::Milliseconds(2));
    }
    return true;
  }

  void LabelUntilStopped() {
    for (int next = 0; !stop_; next += kItems) {
      const std::vector<Labelled> predictions = PredictTestImages(api_, next, kItems);
      for (;;) {
        const auto reply = api_.SubmitFeedback(FeedbackRequest(predictions));
        if (reply.ok()) break;
        {
          std::lock_guard lock(mu_);
          failure_ = reply.status;
          failure_codes_.insert(reply.status.code);
        }
        ++failures_;
        if (stop_) return;
        absl::SleepFor(reply.status.retry_after.value_or(absl::Milliseconds(10)));
      }
      labelled_ += kItems;
      ++acknowledged_;
    }
  }

  void PredictUntilStopped() {
    for (int next = 0; !stop_; ++next) {
      if (!api_.Predict(TestTensorRequest(next, 1)).ok()) ++failed_predictions_;
      ++predictions_;
    }
  }

  static constexpr int kItems = 32;
  const Api& api_;
  std::atomic<bool> stop_{false};
  std::atomic<int64_t> acknowledged_{0}, failures_{0}, predictions_{0}, failed_predictions_{0}, labelled_{0};
  mutable std::mutex mu_;
  CallStatus failure_;
  std::set<absl::StatusCode> failure_codes_;
  std::jthread labeller_, predictor_;  // Last: they use the members above.
};

class StoreFailureTest : public ::testing::Test {
 protected:
  void StartServer(const std::string& data_dir) {
    server_ = std::make_unique<ServerProcess>(ServerFlags{.data_dir = data_dir});
    ASSERT_TRUE(server_->WaitUntilServing()) << server_->log();
    api_ = std::make_unique<Api>(server_->address());
  }

  // Under load, breaks the store, sees feedback fail and predictions go on, mends it, sees feedback recover.
  void BreakAndMend(const std::function<void()>& break_store, const std::function<void()>& mend_store) {
    Load load(*api_);
    ASSERT_TRUE(load.WaitForAcknowledgement()) << server_->log();
    break_store();
    ASSERT_TRUE(load.WaitForFailure()) << server_->log();
    EXPECT_TRUE(load.WaitForPredictions(20)) << server_->log();
    ASSERT_TRUE(load.WaitForFailure()) << "it stays broken until it is mended";
    const CallStatus failure = load.failure();
    EXPECT_EQ(failure.code, absl::StatusCode::kUnavailable) << failure;
    EXPECT_TRUE(failure.retry_after.has_value()) << "RetryInfo";
    EXPECT_EQ(failure.domain, "calserve");

    mend_store();
    EXPECT_TRUE(load.WaitForAcknowledgement()) << server_->log();
    EXPECT_TRUE(load.WaitForAcknowledgement());
    load.Stop();
    EXPECT_EQ(load.failed_predictions(), 0);
    EXPECT_EQ(load.failure_codes(), std::set{absl::StatusCode::kUnavailable});
    EXPECT_EQ(WaitForLabels(*api_, 0, load.labelled()).served().n(), load.labelled());
    EXPECT_EQ(api_->CheckHealth("").response, Health::kServing);
  }

  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<Api> api_;
};

TEST_F(StoreFailureTest, FeedbackRecoversFromAFullDiskUnaided) {
  SmallDisk disk(4 << 20);
  if (!disk.mounted()) GTEST_SKIP() << "needs root: a small file system has to be mounted";
  StartServer(disk.path() + "/data");
  BreakAndMend([&] { disk.Fill(); }, [&] { disk.Free(); });
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->WaitForExit(kTimeout), 0) << server_->log();
  server_.reset();
}

TEST_F(StoreFailureTest, FeedbackRecoversFromAStoreLockedByAnotherProcessUnaided) {
  const TempDir data_dir;
  StartServer(data_dir.path());
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open((data_dir / "calserve.db").c_str(), &db), SQLITE_OK);
  sqlite3_busy_timeout(db, 10'000);
  BreakAndMend([&] { ASSERT_EQ(sqlite3_exec(db, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK); },
               [&] { ASSERT_EQ(sqlite3_exec(db, "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK); });
  sqlite3_close(db);
}

TEST_F(StoreFailureTest, ADrainEndsAlsoWhereItsCheckpointCannotBeWritten) {
  SmallDisk disk(4 << 20);
  if (!disk.mounted()) GTEST_SKIP() << "needs root: a small file system has to be mounted";
  StartServer(disk.path() + "/data");
  Label(*api_, PredictTestImages(*api_, 0, 100));
  ASSERT_EQ(WaitForLabels(*api_, 0, 100).served().n(), 100);
  disk.Fill();
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->WaitForExit(kTimeout), 0) << server_->log();
  disk.Free();
  StartServer(disk.path() + "/data");
  EXPECT_EQ(WaitForLabels(*api_, 0, 100).served().n(), 100);
  server_.reset();
}

}  // namespace
}  // namespace calserve::e2e
