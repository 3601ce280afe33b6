// After any restart, with any checkpoint, every window is what a fold of the whole log from scratch gives: to
// the bit.
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/monitoring/calibration_monitor.h"
#include "tests/unit/feedback/memory_store.h"
#include "tests/unit/monitoring/monitoring_testing.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;

MonitoringOptions SmallWindows() {
  MonitoringOptions options;
  options.windows = {"last_7", "last_100", "last_30s", "last_1h", "decay_15s"};
  options.window_max_labels = 200;
  options.max_keys = 3;
  options.read_batch = 13;
  return options;
}

std::vector<MonitorKey> Keys() { return {kKey, {"fashion", 3, 0}, {"fashion", 4, 1}, {"digits", 1, 0}}; }

void ExpectSame(const CalibrationMetrics& a, const CalibrationMetrics& b) {
  EXPECT_EQ(a.n, b.n);
  EXPECT_EQ(a.n_effective, b.n_effective);
  EXPECT_EQ(a.accuracy, b.accuracy);
  EXPECT_EQ(a.mean_confidence, b.mean_confidence);
  EXPECT_EQ(a.ece, b.ece);
  EXPECT_EQ(a.noise_floor, b.noise_floor);
  EXPECT_EQ(a.mce, b.mce);
  EXPECT_EQ(a.n_with_logits, b.n_with_logits);
  EXPECT_EQ(a.nll, b.nll);
  EXPECT_EQ(a.brier, b.brier);
  ASSERT_EQ(a.bins.size(), b.bins.size());
  for (size_t i = 0; i < a.bins.size(); ++i) {
    EXPECT_EQ(a.bins[i].count, b.bins[i].count);
    EXPECT_EQ(a.bins[i].confidence, b.bins[i].confidence);
    EXPECT_EQ(a.bins[i].accuracy, b.bins[i].accuracy);
  }
}

void ExpectSameReports(CalibrationMonitor& a, CalibrationMonitor& b, const MonitoringOptions& options) {
  for (const MonitorKey& key : Keys()) {
    for (const std::string& window : options.windows) {
      SCOPED_TRACE(window + " of " + key.model + " " + std::to_string(key.calibrator_version));
      const WindowReport one = *a.Report(key, window), other = *b.Report(key, window);
      EXPECT_EQ(one.position, other.position);
      EXPECT_EQ(one.label_position, other.label_position);
      EXPECT_EQ(one.time, other.time);
      EXPECT_EQ(one.truncated, other.truncated);
      ExpectSame(one.served, other.served);
      ExpectSame(one.uncalibrated, other.uncalibrated);
    }
  }
}

std::string StateOf(CalibrationMonitor& monitor, Store& store) {
  EXPECT_TRUE(monitor.SaveCheckpoint().ok());
  return (*store.LoadCheckpoint("monitoring"))->state;
}

class RestartTest : public ::testing::TestWithParam<int> {};

TEST_P(RestartTest, WindowsAreThoseOfAFoldFromScratchToTheBit) {
  std::mt19937 random(GetParam());
  const MonitoringOptions options = SmallWindows();
  ManualClock clock(kStart);
  MemoryStore whole, restarted;  // the same log; of the second, old rows are deleted
  auto monitor = *CalibrationMonitor::Create(options, restarted, clock, LookUpTemperature);
  uint64_t number = 0;
  for (int step = 0; step < 60; ++step) {
    std::vector<ScoredLabel> labels;
    for (size_t i = 1 + random() % 40; i > 0; --i)
      labels.push_back(LabelOf(++number, Keys()[random() % Keys().size()]));
    std::vector<ScoredLabel> copy = labels;
    ASSERT_TRUE(whole.Append(absl::MakeSpan(labels), clock.Now()).ok());
    ASSERT_TRUE(restarted.Append(absl::MakeSpan(copy), clock.Now()).ok());
    monitor->Notify();
    switch (random() % 5) {
      case 0:
        ASSERT_TRUE(monitor->SaveCheckpoint().ok());  // wherever the folder is just now
        break;
      case 1:  // Stopped.
        monitor.reset();
        monitor = *CalibrationMonitor::Create(options, restarted, clock, LookUpTemperature);
        break;
      case 2:  // Killed: no checkpoint at the end.
        restarted.FailWith(absl::UnavailableError("killed"));
        monitor.reset();
        restarted.FailWith(absl::OkStatus());
        monitor = *CalibrationMonitor::Create(options, restarted, clock, LookUpTemperature);
        break;
      case 3: {  // Retention: never deletes what is not in a checkpoint.
        ASSERT_TRUE(monitor->WaitForPosition(static_cast<int64_t>(number), kPatience));
        ASSERT_TRUE(monitor->SaveCheckpoint().ok());
        ASSERT_TRUE(restarted.DeleteBefore(clock.Now() + absl::Microseconds(1)).ok());
        break;
      }
      default:
        break;
    }
    EXPECT_TRUE(monitor->state().restored.ok()) << monitor->state().restored;
    clock.Advance(absl::Milliseconds(random() % 5000));
  }
  auto scratch = *CalibrationMonitor::Create(options, whole, clock, LookUpTemperature);
  const auto last = static_cast<int64_t>(number);
  ASSERT_TRUE(scratch->WaitForPosition(last, kPatience));
  ASSERT_TRUE(monitor->WaitForPosition(last, kPatience));
  EXPECT_EQ(StateOf(*monitor, restarted), StateOf(*scratch, whole));
  ExpectSameReports(*monitor, *scratch, options);
  clock.Advance(absl::Seconds(20));
  ExpectSameReports(*monitor, *scratch, options);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RestartTest, ::testing::Range(0, 20));

class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest() {
    std::vector<ScoredLabel> labels;
    for (uint64_t i = 1; i <= 50; ++i) labels.push_back(LabelOf(i, kKey));
    EXPECT_TRUE(store_.Append(absl::MakeSpan(labels), clock_.Now()).ok());
    const auto monitor = Start(SmallWindows());
    EXPECT_TRUE(monitor->WaitForPosition(50, kPatience));
  }
  std::unique_ptr<CalibrationMonitor> Start(const MonitoringOptions& options) {
    return *CalibrationMonitor::Create(options, store_, clock_, LookUpTemperature);
  }
  Checkpoint Saved() { return **store_.LoadCheckpoint("monitoring"); }
  // Starts with the checkpoint altered so, and expects a fold from scratch.
  void ExpectDiscarded(const Checkpoint& checkpoint, absl::StatusCode code, const std::string& why) {
    ASSERT_TRUE(store_.SaveCheckpoint("monitoring", checkpoint).ok());
    const auto monitor = Start(SmallWindows());
    EXPECT_THAT(monitor->state().restored, StatusIs(code, HasSubstr(why)));
    ASSERT_TRUE(monitor->WaitForPosition(50, kPatience));
    EXPECT_EQ(monitor->Report(kKey, "last_100")->served.n, 50);
  }

  ManualClock clock_{kStart};
  MemoryStore store_;
};

TEST_F(CheckpointTest, IsWrittenAtDestructionAndGoneOnFrom) {
  EXPECT_EQ(Saved().position, 50);
  ASSERT_EQ(*store_.DeleteBefore(absl::InfiniteFuture()), 50);
  const auto monitor = Start(SmallWindows());
  EXPECT_TRUE(monitor->state().restored.ok());
  EXPECT_EQ(monitor->Report(kKey, "last_100")->served.n, 50);
  EXPECT_FALSE(monitor->Report(kKey, "last_100")->catching_up);
}

TEST_F(CheckpointTest, OfAnotherSchemaIsDiscarded) {
  Checkpoint checkpoint = Saved();
  checkpoint.schema_version += 1;
  ExpectDiscarded(checkpoint, absl::StatusCode::kFailedPrecondition, "schema version 2");
}

TEST_F(CheckpointTest, ThatIsDamagedIsDiscarded) {
  Checkpoint checkpoint = Saved();
  checkpoint.state[checkpoint.state.size() / 2] ^= 1;
  ExpectDiscarded(checkpoint, absl::StatusCode::kDataLoss, "damaged");
}

TEST_F(CheckpointTest, AheadOfTheLogIsDiscarded) {
  Checkpoint checkpoint = Saved();
  checkpoint.position = 51;
  ExpectDiscarded(checkpoint, absl::StatusCode::kFailedPrecondition, "position 51; the log ends at 50");
}

TEST_F(CheckpointTest, OfOtherWindowsIsDiscardedAndTheRowsThatAreLeftAreFolded) {
  MonitoringOptions options = SmallWindows();
  options.windows.push_back("last_20");
  const auto monitor = Start(options);
  EXPECT_THAT(monitor->state().restored,
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("configured otherwise")));
  ASSERT_TRUE(monitor->WaitForPosition(50, kPatience));
  EXPECT_EQ(monitor->Report(kKey, "last_20")->served.n, 20);
}

}  // namespace
}  // namespace calserve
