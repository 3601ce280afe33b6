// After any restart, with any checkpoint, every window and every e-value is what a fold of the whole log from
// scratch gives: to the bit.
#include <algorithm>
#include <random>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/monitoring/calibration_monitor.h"
#include "tests/unit/feedback/memory_store.h"
#include "tests/unit/monitoring/monitoring_testing.h"
#include "tests/unit/monitoring/same_reports.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;

// Everything of the checkpoint: the head, and what is there of each key.
std::vector<std::string> StateOf(CalibrationMonitor& monitor, Store& store) {
  EXPECT_TRUE(monitor.SaveCheckpoint().ok());
  std::vector<std::string> state = {(*store.LoadCheckpoint("monitoring"))->state};
  for (const MonitorKey& key : Keys()) {
    const std::string name = absl::StrCat(key.model_version, "/", key.calibrator_version, "/", key.model);
    state.push_back(
        store.LoadCheckpointPart("monitoring", name, monitor.Revision(key).label_position).value_or("none"));
  }
  EXPECT_EQ(std::count(state.begin(), state.end(), "none"), 1) << "of four keys, three are held";
  return state;
}

class RestartTest : public ::testing::TestWithParam<int> {};

TEST_P(RestartTest, WindowsAndAlarmsAreThoseOfAFoldFromScratchToTheBit) {
  std::mt19937 random(GetParam());
  MonitoringOptions options = SmallWindows();
  // Every other seed, reports evict while the folder writes checkpoints. Then the bytes that are stored
  // differ: not what is reported of them.
  const bool reporting = GetParam() % 2 == 1;
  if (reporting) options.checkpoint_interval = absl::Microseconds(1);
  ManualClock clock(kStart);
  MemoryStore whole, restarted;  // the same log; of the second, old rows are deleted
  auto monitor = *CalibrationMonitor::Create(options, restarted, clock, LookUpTemperature);
  uint64_t number = 0;
  int acknowledged = 0;
  for (int step = 0; step < 60; ++step) {
    std::vector<ScoredLabel> labels;
    for (size_t i = 1 + random() % 40; i > 0; --i) labels.push_back(LabelOf(++number, AnyKey(random)));
    std::vector<ScoredLabel> copy = labels;
    ASSERT_TRUE(whole.Append(absl::MakeSpan(labels), clock.Now()).ok());
    ASSERT_TRUE(restarted.Append(absl::MakeSpan(copy), clock.Now()).ok());
    monitor->Notify();
    for (size_t i = reporting ? random() % 20 : 0; i > 0; --i) {
      ASSERT_TRUE(monitor->Report(Keys()[random() % 4], options.windows[random() % 5]).ok());
    }
    switch (random() % 7) {
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
      case 4:
      case 5:  // Not while it reads what was there at a start.
        ASSERT_TRUE(monitor->WaitForPosition(static_cast<int64_t>(number), kPatience));
        acknowledged += monitor->AcknowledgeAlarm(AnyKey(random)).ok() ? 1 : 0;
        break;
      default:
        break;
    }
    EXPECT_TRUE(monitor->state().restored.ok()) << monitor->state().restored;
    clock.Advance(absl::Milliseconds(random() % 5000));
  }
  EXPECT_GT(acknowledged, 0);
  const std::vector<Acknowledgement> acknowledgements = *restarted.ListAcknowledgements(0);
  for (const Acknowledgement& at : acknowledgements) ASSERT_TRUE(whole.AddAcknowledgement(at).ok());
  auto scratch = *CalibrationMonitor::Create(options, whole, clock, LookUpTemperature);
  const auto last = static_cast<int64_t>(number);
  ASSERT_TRUE(scratch->WaitForPosition(last, kPatience));
  ASSERT_TRUE(monitor->WaitForPosition(last, kPatience));
  if (!reporting) {
    EXPECT_EQ(StateOf(*monitor, restarted), StateOf(*scratch, whole));
  }
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
    EXPECT_TRUE(monitor->SaveCheckpoint().ok());
    part_ = SavedPart();
  }
  std::unique_ptr<CalibrationMonitor> Start(const MonitoringOptions& options) {
    return *CalibrationMonitor::Create(options, store_, clock_, LookUpTemperature);
  }
  Checkpoint Saved() { return **store_.LoadCheckpoint("monitoring"); }
  std::string SavedPart() { return *store_.LoadCheckpointPart("monitoring", kPart, 50); }
  absl::Status Save(const Checkpoint& head, const std::string& part) {
    return store_.SaveCheckpoint("monitoring", head, {{kPart, 50, [&] { return part; }}});
  }
  // Starts with that checkpoint, and expects a fold from scratch, which is saved.
  void ExpectDiscarded(absl::StatusCode code, const std::string& why) {
    {
      const auto monitor = Start(SmallWindows());
      EXPECT_THAT(monitor->state().restored, StatusIs(code, HasSubstr(why)));
      ASSERT_TRUE(monitor->WaitForPosition(50, kPatience));
      EXPECT_EQ(monitor->Report(kKey, "last_100")->served.n, 50);
    }
    EXPECT_EQ(SavedPart(), part_);
    EXPECT_TRUE(Start(SmallWindows())->state().restored.ok());
  }

  const std::string kPart = "3/2/fashion";  // of kKey
  ManualClock clock_{kStart};
  MemoryStore store_;
  std::string part_;  // as it was saved
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
  for (const int32_t schema_version : {4, 6}) {
    Checkpoint head = Saved();
    head.schema_version = schema_version;
    ASSERT_TRUE(Save(head, part_).ok());
    ExpectDiscarded(absl::StatusCode::kFailedPrecondition, absl::StrCat("schema version ", schema_version));
  }
}

// Before there were parts, all of it was in the head.
TEST_F(CheckpointTest, OfTheFirstSchemaIsDiscarded) {
  ASSERT_TRUE(store_.SaveCheckpoint("monitoring", {1, 50, std::string(10'000, 'x')}, {}).ok());
  ExpectDiscarded(absl::StatusCode::kFailedPrecondition, "schema version 1; this server folds version 5");
}

TEST_F(CheckpointTest, WithADamagedHeadIsDiscarded) {
  Checkpoint head = Saved();
  head.state[head.state.size() / 2] ^= 1;
  ASSERT_TRUE(Save(head, part_).ok());
  ExpectDiscarded(absl::StatusCode::kDataLoss, "damaged");
}

TEST_F(CheckpointTest, WithADamagedPartIsDiscardedAndThatPartWrittenAgain) {
  std::string part = part_;
  part[part.size() / 2] ^= 1;
  ASSERT_TRUE(Save(Saved(), part).ok());
  ExpectDiscarded(absl::StatusCode::kDataLoss, "damaged");
}

TEST_F(CheckpointTest, WithAPartMissingIsDiscarded) {
  ASSERT_TRUE(store_.SaveCheckpoint("monitoring", Saved(), {}).ok());
  ExpectDiscarded(absl::StatusCode::kNotFound, kPart);
}

TEST_F(CheckpointTest, AheadOfTheLogIsDiscarded) {
  Checkpoint head = Saved();
  head.position = 51;
  ASSERT_TRUE(Save(head, part_).ok());
  ExpectDiscarded(absl::StatusCode::kFailedPrecondition, "position 51; the log ends at 50");
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
