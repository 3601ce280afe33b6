// The alarm in the monitor: raised by the log, acknowledged for good, with options of each model's own.
#include <atomic>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/monitoring/alarm_settings.h"
#include "server/monitoring/calibration_monitor.h"
#include "tests/unit/feedback/memory_store.h"
#include "tests/unit/monitoring/monitoring_testing.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;

class AlarmTest : public ::testing::Test {
 protected:
  void Create() {
    monitor_.reset();
    monitor_ = *CalibrationMonitor::Create(options_, store_, clock_, LookUpTemperature,
                                           [this](const std::string& model) { return settings_.Of(model); });
  }
  // Ends without a checkpoint, and starts again.
  void KillAndCreate() {
    store_.FailWith(absl::UnavailableError("killed"));
    monitor_.reset();
    store_.FailWith(absl::OkStatus());
    Create();
    WaitForAll();
  }
  // Labels of which a third is right, at confidences of 0.5 and more.
  void Label(int count, const MonitorKey& key = kKey) {
    std::vector<ScoredLabel> labels;
    for (int i = 0; i < count; ++i) labels.push_back(LabelOf(++number_, key));
    ASSERT_TRUE(store_.Append(absl::MakeSpan(labels), clock_.Now()).ok());
    monitor_->Notify();
    WaitForAll();
  }
  void WaitForAll() { ASSERT_TRUE(monitor_->WaitForPosition(static_cast<int64_t>(number_), kPatience)); }

  ManualClock clock_{kStart};
  MemoryStore store_;
  AlarmSettings settings_;
  MonitoringOptions options_;
  uint64_t number_ = 0;
  std::unique_ptr<CalibrationMonitor> monitor_;
};

TEST_F(AlarmTest, IsRaisedByTheLabelsOfItsKeyAlone) {
  Create();
  Label(20, {"fashion", 3, 1});
  Label(200);
  const AlarmStatus alarm = monitor_->Alarm(kKey);
  EXPECT_EQ(alarm.labels, 200);
  ASSERT_TRUE(alarm.raised.has_value());
  EXPECT_EQ(alarm.raised->direction, GapDirection::kOverconfident);
  EXPECT_GT(alarm.raised->since.position, 21);
  EXPECT_LT(alarm.raised->since.position, 120);
  EXPECT_EQ(alarm.raised->since.time_micros, absl::ToUnixMicros(kStart));
  EXPECT_GT(alarm.raised->change_point.position, 20);
  EXPECT_EQ(monitor_->Report(kKey, "last_1h")->alarm, alarm);
  EXPECT_FALSE(monitor_->Alarm({"fashion", 3, 1}).raised.has_value());
  EXPECT_EQ(monitor_->Alarm({"fashion", 3, 9}).labels, 0);
}

TEST_F(AlarmTest, AnAcknowledgementHoldsAfterAnyRestart) {
  Create();
  Label(200);
  ASSERT_TRUE(monitor_->SaveCheckpoint().ok());
  clock_.Advance(absl::Hours(1));
  const absl::StatusOr<AlarmStatus> acknowledged = monitor_->AcknowledgeAlarm(kKey);
  ASSERT_TRUE(acknowledged.ok()) << acknowledged.status();
  EXPECT_FALSE(acknowledged->raised.has_value());
  EXPECT_EQ(acknowledged->acknowledged, (LogPoint{200, absl::ToUnixMicros(clock_.Now())}));

  KillAndCreate();  // with the checkpoint of before
  EXPECT_EQ(monitor_->Alarm(kKey), *acknowledged);
  Label(10);
  const AlarmStatus after = monitor_->Alarm(kKey);
  EXPECT_EQ(after.labels, 10);
  ASSERT_TRUE(store_.SaveCheckpoint("monitoring", {}, {}).ok());
  KillAndCreate();  // from the first row
  EXPECT_EQ(monitor_->Alarm(kKey), after);
}

TEST_F(AlarmTest, StaysRaisedWhenItsKeyMakesRoomAndCanStillBeAcknowledged) {
  options_.max_keys = 1;
  Create();
  Label(200);
  const AlarmStatus raised = monitor_->Alarm(kKey);
  ASSERT_TRUE(raised.raised.has_value());
  Label(1, {"fashion", 3, 9});
  EXPECT_EQ(monitor_->Report(kKey, "last_1h")->served.n, 0);
  EXPECT_EQ(monitor_->Alarm(kKey), raised);
  Create();
  EXPECT_EQ(monitor_->Alarm(kKey), raised);
  const absl::StatusOr<AlarmStatus> acknowledged = monitor_->AcknowledgeAlarm(kKey);
  ASSERT_TRUE(acknowledged.ok()) << acknowledged.status();
  EXPECT_FALSE(acknowledged->raised.has_value());
  EXPECT_EQ(acknowledged->acknowledgements, 1);
  KillAndCreate();
  EXPECT_EQ(monitor_->Alarm(kKey), *acknowledged);
  Label(1);
  EXPECT_EQ(monitor_->Alarm(kKey).labels, 1);
  EXPECT_EQ(monitor_->Alarm(kKey).acknowledgements, 1) << "what of alpha is spent stays spent";
}

TEST_F(AlarmTest, OnlyWhatIsRaisedIsAcknowledged) {
  Create();
  Label(2);
  EXPECT_THAT(monitor_->AcknowledgeAlarm(kKey).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("has no alarm to acknowledge")));
  EXPECT_TRUE(store_.ListAcknowledgements(0)->empty());
}

TEST_F(AlarmTest, AnAcknowledgementThatIsNotStoredChangesNothing) {
  Create();
  Label(200);
  const AlarmStatus before = monitor_->Alarm(kKey);
  store_.FailWith(absl::UnavailableError("disk full"));
  EXPECT_THAT(monitor_->AcknowledgeAlarm(kKey).status(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("disk full")));
  store_.FailWith(absl::OkStatus());
  EXPECT_EQ(monitor_->Alarm(kKey), before);
}

TEST_F(AlarmTest, AnAcknowledgementIsToldAndIsARevision) {
  Create();
  Label(200);
  const KeyRevision before = monitor_->Revision(kKey);
  std::atomic<int> told{0};
  // On the thread that acknowledges: the folder may not have told of the last labels yet.
  monitor_->SetOnFold([&, caller = std::this_thread::get_id()] {
    if (std::this_thread::get_id() == caller) ++told;
  });
  ASSERT_TRUE(monitor_->AcknowledgeAlarm(kKey).ok());
  EXPECT_EQ(told, 1);
  EXPECT_NE(monitor_->Revision(kKey), before);
  monitor_->SetOnFold(nullptr);
}

TEST_F(AlarmTest, HasTheOptionsOfItsModel) {
  settings_.Set("digits", {0.2, 0.001});
  Create();
  Label(3, {"digits", 1, 0});
  EXPECT_EQ(monitor_->Alarm({"digits", 1, 0}).options, (AlarmOptions{0.2, 0.001}));
  EXPECT_EQ(monitor_->Alarm({"digits", 2, 7}).options, (AlarmOptions{0.2, 0.001})) << "without labels, too";
  EXPECT_EQ(monitor_->Alarm(kKey).options, AlarmOptions());
}

TEST_F(AlarmTest, BeginsAnewAtTheStartThatFindsOtherOptions) {
  Create();
  Label(200);
  Create();
  EXPECT_TRUE(monitor_->Alarm(kKey).raised.has_value());
  settings_.Set("fashion", {0.05, 0.01});
  Create();
  EXPECT_EQ(monitor_->Alarm(kKey).options, (AlarmOptions{0.05, 0.01}));
  EXPECT_EQ(monitor_->Alarm(kKey).labels, 0);
  EXPECT_FALSE(monitor_->Alarm(kKey).raised.has_value());
  Label(200);
  const AlarmStatus after = monitor_->Alarm(kKey);
  KillAndCreate();
  EXPECT_EQ(monitor_->Alarm(kKey), after);
}

TEST_F(AlarmTest, KeepsItsOptionsWhereTheModelsAreNotKnown) {
  settings_.Set("fashion", {0.05, 0.01});
  Create();
  Label(200);
  const AlarmStatus before = monitor_->Alarm(kKey);
  monitor_.reset();
  monitor_ = *CalibrationMonitor::Create(MonitoringOptions(), store_, clock_, LookUpTemperature);
  EXPECT_EQ(monitor_->Alarm(kKey), before);
}

}  // namespace
}  // namespace calserve
