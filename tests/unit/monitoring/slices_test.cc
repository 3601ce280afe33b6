// Slices in the monitor: what they count, their alarms, and that all of it is the same to the bit after any
// restart.
#include <map>
#include <random>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/monitoring/alarm_settings.h"
#include "server/monitoring/calibration_monitor.h"
#include "tests/unit/feedback/memory_store.h"
#include "tests/unit/monitoring/monitoring_testing.h"
#include "tests/unit/monitoring/same_reports.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const MonitorKey kOther{"fashion", 3, 0};  // another calibrator of the same model

MonitorKey Of(const MonitorKey& whole, const std::string& key, const std::string& value) {
  return {whole.model, whole.model_version, whole.calibrator_version, {key, value}};
}

class SlicesTest : public ::testing::Test {
 protected:
  SlicesTest() {
    slices_.Set("fashion", {{"camera", {}}, {"site", {"a", "b"}}});
    alarms_.Set("fashion", AlarmOptions());
    options_.windows = {"last_7", "last_100", "last_30s", "last_1h", "decay_15s"};
  }
  std::unique_ptr<CalibrationMonitor> Create(Store& store) {
    return *CalibrationMonitor::Create(
        options_, store, clock_, LookUpTemperature,
        [this](const std::string& model) { return alarms_.Of(model); },
        [this](const std::string& model) { return slices_.Of(model); });
  }
  void Start() {
    monitor_.reset();
    monitor_ = Create(store_);
    WaitForAll();
  }
  void Kill() {
    store_.FailWith(absl::UnavailableError("killed"));
    monitor_.reset();
    store_.FailWith(absl::OkStatus());
  }
  // Its confidence is 0.5 and more; every third label is right.
  ScoredLabel Row(const Attributes& attributes, const MonitorKey& key = kKey) {
    ScoredLabel row = LabelOf(++number_, key);
    row.prediction.attributes = attributes;
    return row;
  }
  // Right as often as its confidence says.
  ScoredLabel GoodRow(const Attributes& attributes) {
    ScoredLabel row = Row(attributes);
    row.prediction.confidence = 0.75f;
    row.label = row.prediction.predicted_class + (number_ % 4 == 0 ? 1 : 0);
    return row;
  }
  void Append(std::vector<ScoredLabel> rows) {
    ASSERT_TRUE(store_.Append(absl::MakeSpan(rows), clock_.Now()).ok());
    monitor_->Notify();
    WaitForAll();
  }
  void WaitForAll() { ASSERT_TRUE(monitor_->WaitForPosition(static_cast<int64_t>(number_), kPatience)); }
  int64_t Count(const MonitorKey& key) { return monitor_->Report(key, "last_100")->served.n; }

  MonitoringOptions options_;
  ManualClock clock_{kStart};
  MemoryStore store_;
  AlarmSettings alarms_;
  SliceSettings slices_;
  uint64_t number_ = 0;
  std::unique_ptr<CalibrationMonitor> monitor_;
};

TEST_F(SlicesTest, ALabelCountsOnceInEachSliceOfItsAttributes) {
  Start();
  Append({Row({{"camera", "north"}, {"site", "a"}}), Row({{"camera", "north"}}), Row({{"site", "z"}}),
          Row({}), Row({{"camera", "south"}, {"camera", "north"}, {"hour", "7"}})});
  EXPECT_EQ(Count(kKey), 5);
  EXPECT_EQ(Count(Of(kKey, "camera", "north")), 2);
  EXPECT_EQ(Count(Of(kKey, "camera", "south")), 1);
  EXPECT_EQ(Count(Of(kKey, "site", "a")), 1);
  EXPECT_EQ(Count(Of(kKey, "site", "other")), 1);
  EXPECT_EQ(Count(Of(kKey, "site", "b")), 0);
  EXPECT_EQ(Count(Of(kKey, "hour", "7")), 0);
  EXPECT_THAT(monitor_->Slices("fashion").slices(),
              ElementsAre(Slice{"camera", "north"}, Slice{"site", "a"}, Slice{"site", "other"},
                          Slice{"camera", "south"}));
  EXPECT_EQ(monitor_->state().keys, 1);
  EXPECT_EQ(monitor_->state().slices, 4);
}

TEST_F(SlicesTest, ASliceReportsWhatAMonitorOfItsLabelsAloneWould) {
  Start();
  MemoryStore alone_store;
  std::mt19937 random(5);
  std::vector<ScoredLabel> rows, alone;
  for (int i = 0; i < 300; ++i) {
    const std::string camera = random() % 3 == 0 ? "north" : "south";
    rows.push_back(Row({{"site", "a"}, {"camera", camera}}));
    if (camera == "north") alone.push_back(rows.back());
  }
  Append(rows);
  ASSERT_TRUE(alone_store.Append(absl::MakeSpan(alone), clock_.Now()).ok());
  const auto other = Create(alone_store);
  ASSERT_TRUE(other->WaitForPosition(static_cast<int64_t>(alone.size()), kPatience));
  for (const std::string& window : options_.windows) {
    SCOPED_TRACE(window);
    const WindowReport slice = *monitor_->Report(Of(kKey, "camera", "north"), window);
    const WindowReport whole = *other->Report(kKey, window);
    ExpectSameMetrics(slice.served, whole.served);
    ExpectSameMetrics(slice.uncalibrated, whole.uncalibrated);
    EXPECT_EQ(slice.alarm.e_overconfident, whole.alarm.e_overconfident);
    EXPECT_EQ(slice.alarm.e_exact, whole.alarm.e_exact);
  }
}

TEST_F(SlicesTest, OnlyTheSliceThatIsOffIsAlarmedAndAcknowledgedForGood) {
  Start();
  std::vector<ScoredLabel> rows;
  for (int i = 0; i < 150; ++i) {
    rows.push_back(Row({{"camera", "north"}}));
    for (int j = 0; j < 40; ++j) rows.push_back(GoodRow({{"camera", j % 2 == 0 ? "south" : "east"}}));
  }
  Append(rows);
  const MonitorKey north = Of(kKey, "camera", "north");
  const AlarmStatus raised = monitor_->Alarm(north);
  ASSERT_TRUE(raised.raised.has_value());
  EXPECT_EQ(raised.raised->direction, GapDirection::kOverconfident);
  EXPECT_FALSE(monitor_->Alarm(kKey).raised.has_value());
  EXPECT_FALSE(monitor_->Alarm(Of(kKey, "camera", "south")).raised.has_value());
  EXPECT_THAT(monitor_->AcknowledgeAlarm(Of(kKey, "camera", "south")).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("slice camera=south has no alarm")));
  ASSERT_TRUE(monitor_->SaveCheckpoint().ok());
  const absl::StatusOr<AlarmStatus> acknowledged = monitor_->AcknowledgeAlarm(north);
  ASSERT_TRUE(acknowledged.ok()) << acknowledged.status();
  EXPECT_FALSE(acknowledged->raised.has_value());
  Kill();
  Start();
  EXPECT_EQ(monitor_->Alarm(north), *acknowledged);
  EXPECT_EQ(monitor_->Alarm(kKey).acknowledgements, 0);
}

TEST_F(SlicesTest, AlarmsShareTheAlphaOfTheModel) {
  alarms_.Set("fashion", {0.01, 0.02});
  alarms_.Set("digits", {0.01, 0.02});
  Start();
  Append({Row({{"camera", "north"}}), Row({{"camera", "south"}}), Row({}, {"digits", 1, 0})});
  EXPECT_EQ(monitor_->Alarm(kKey).options.alpha, 0.01);
  EXPECT_EQ(monitor_->Alarm({"digits", 1, 0}).options.alpha, 0.02);
  EXPECT_EQ(monitor_->Alarm(Of(kKey, "camera", "north")).options, ShareOfSlice({0.01, 0.02}, 0));
  EXPECT_EQ(monitor_->Alarm(Of(kKey, "camera", "south")).options, ShareOfSlice({0.01, 0.02}, 1));
  EXPECT_EQ(monitor_->Alarm(Of(kKey, "site", "a")).options, ShareOfSlice({0.01, 0.02}, 2));
}

TEST_F(SlicesTest, TheFirstThirtyTwoValuesKeepTheirSlicesAfterTheirRowsAreDeleted) {
  Start();
  for (int i = 0; i < 40; ++i) Append({Row({{"camera", absl::StrCat("c", i)}})});
  ASSERT_TRUE(monitor_->SaveCheckpoint().ok());
  ASSERT_TRUE(store_.DeleteBefore(clock_.Now() + absl::Microseconds(1)).ok());
  Kill();
  Start();
  // In another order, and under another calibrator.
  std::vector<ScoredLabel> rows;
  for (int i = 39; i >= 0; --i) rows.push_back(Row({{"camera", absl::StrCat("c", i)}}, kOther));
  Append(rows);
  EXPECT_EQ(Count(Of(kOther, "camera", "c0")), 1);
  EXPECT_EQ(Count(Of(kOther, "camera", "c31")), 1);
  EXPECT_EQ(Count(Of(kOther, "camera", "c32")), 0);
  EXPECT_EQ(Count(Of(kOther, "camera", "other")), 8);
  EXPECT_EQ(Count(Of(kKey, "camera", "other")), 8);
  EXPECT_EQ(monitor_->Slices("fashion").NumberOf({"camera", "c0"}), 0);
}

TEST_F(SlicesTest, AttributesDeclaredOtherwiseTakeEffectAtTheNextStart) {
  Start();
  Append({Row({{"camera", "north"}, {"site", "z"}, {"lens", "wide"}})});
  slices_.Set("fashion", {{"camera", {}}, {"site", {"z"}}, {"lens", {}}});
  Append({Row({{"camera", "north"}, {"site", "z"}, {"lens", "wide"}})});
  EXPECT_EQ(Count(Of(kKey, "site", "other")), 2);
  EXPECT_EQ(Count(Of(kKey, "lens", "wide")), 0);
  monitor_.reset();
  Start();
  EXPECT_TRUE(monitor_->state().restored.ok());
  Append({Row({{"camera", "north"}, {"site", "z"}, {"lens", "wide"}})});
  EXPECT_EQ(Count(kKey), 3);
  EXPECT_EQ(Count(Of(kKey, "camera", "north")), 3);
  EXPECT_EQ(Count(Of(kKey, "site", "other")), 0);
  EXPECT_EQ(Count(Of(kKey, "site", "z")), 1);
  EXPECT_EQ(Count(Of(kKey, "lens", "wide")), 1);
  slices_.Set("fashion", {});
  monitor_.reset();
  Start();
  EXPECT_EQ(monitor_->state().slices, 0);
  EXPECT_THAT(monitor_->Slices("fashion").slices(), IsEmpty());
  EXPECT_EQ(Count(kKey), 3);
  EXPECT_EQ(monitor_->Alarm(kKey).options.alpha, AlarmOptions().alpha);
}

TEST_F(SlicesTest, OtherWindowsLeaveValuesInTheirSlicesThoughTheirRowsAreDeleted) {
  Start();
  for (int value = 0; value < 33; ++value) Append({Row({{"camera", absl::StrCat("c", value)}})});
  const std::vector<Slice> before = monitor_->Slices("fashion").slices();
  ASSERT_TRUE(monitor_->SaveCheckpoint().ok());
  clock_.Advance(absl::Hours(1));
  ASSERT_TRUE(store_.DeleteBefore(clock_.Now()).ok());
  options_.windows = {"last_7", "last_100"};
  Start();
  EXPECT_FALSE(monitor_->state().restored.ok());
  Append({Row({{"camera", "c32"}}), Row({{"camera", "c0"}})});
  EXPECT_EQ(monitor_->Slices("fashion").slices(), before);
  EXPECT_EQ(Count(Of(kKey, "camera", "other")), 1);
  EXPECT_EQ(Count(Of(kKey, "camera", "c0")), 1);
  EXPECT_EQ(Count(Of(kKey, "camera", "c1")), 0);
}

TEST_F(SlicesTest, ARaisedAlarmStaysRaisedWhenAttributesAreDeclared) {
  slices_.Set("fashion", {});
  Start();
  std::vector<ScoredLabel> rows;
  for (int i = 0; i < 200; ++i) rows.push_back(Row({}));
  Append(rows);
  const AlarmStatus raised = monitor_->Alarm(kKey);
  ASSERT_TRUE(raised.raised.has_value());
  ASSERT_TRUE(monitor_->SaveCheckpoint().ok());
  slices_.Set("fashion", {{"camera", {}}});
  Start();
  EXPECT_EQ(monitor_->Alarm(kKey), raised);
}

TEST_F(SlicesTest, ASliceHoldsNoMoreLabelsThanItMay) {
  options_.slice_max_labels = 150;
  Start();
  std::vector<ScoredLabel> rows;
  for (int i = 0; i < 400; ++i) rows.push_back(Row({{"camera", "north"}}));
  Append(rows);
  const WindowReport slice = *monitor_->Report(Of(kKey, "camera", "north"), "last_1h");
  EXPECT_EQ(slice.served.n, 150);
  EXPECT_TRUE(slice.truncated);
  EXPECT_EQ(monitor_->Report(kKey, "last_1h")->served.n, 400);
}

TEST_F(SlicesTest, AKeyThatMakesRoomTakesItsSlicesWithIt) {
  options_.max_keys = 1;
  Start();
  Append({Row({{"camera", "north"}, {"site", "a"}}), Row({{"camera", "south"}}, kOther)});
  EXPECT_EQ(monitor_->state().keys, 1);
  EXPECT_EQ(monitor_->state().slices, 1);
  EXPECT_EQ(Count(Of(kKey, "camera", "north")), 0);
  EXPECT_EQ(Count(Of(kOther, "camera", "south")), 1);
}

class SliceRestartTest : public SlicesTest, public ::testing::WithParamInterface<int> {};

TEST_P(SliceRestartTest, SlicesAndTheirAlarmsAreThoseOfAFoldFromScratchToTheBit) {
  std::mt19937 random(GetParam());
  options_.window_max_labels = 300;
  options_.slice_max_labels = 50;
  options_.max_keys = 2;
  options_.read_batch = 13;
  MemoryStore whole;  // the same log, of which nothing is deleted
  Start();
  const std::vector<MonitorKey> keys = {kKey, kOther, {"fashion", 4, 1}};
  int acknowledged = 0;
  for (int step = 0; step < 50; ++step) {
    std::vector<ScoredLabel> rows;
    for (size_t i = 1 + random() % 40; i > 0; --i) {
      Attributes attributes;
      if (random() % 4 > 0) {
        attributes.emplace_back("camera", absl::StrCat("c", (random() % 64) * (random() % 64) / 64));
      }
      if (random() % 3 > 0) {
        attributes.emplace_back("site", random() % 2 == 0 ? "a" : absl::StrCat("s", random() % 4));
      }
      // The third key is rare: each time it comes, one of the others makes room.
      const size_t key = random() % 100 == 0 ? 2 : random() % 4 == 0 ? 1 : 0;
      ScoredLabel& row = rows.emplace_back(Row(attributes, keys[key]));
      // Of site a nothing is right: its alarm is raised again and again.
      if (Hold({{"site", {"a"}}}, attributes)) row.label = row.prediction.predicted_class + 1;
    }
    std::vector<ScoredLabel> copy = rows;
    ASSERT_TRUE(whole.Append(absl::MakeSpan(copy), clock_.Now()).ok());
    Append(rows);
    switch (random() % 6) {
      case 0:
        ASSERT_TRUE(monitor_->SaveCheckpoint().ok());
        break;
      case 1:
        Kill();
        Start();
        break;
      case 2:
        monitor_.reset();
        Start();
        break;
      case 3:
        ASSERT_TRUE(monitor_->SaveCheckpoint().ok());
        ASSERT_TRUE(store_.DeleteBefore(clock_.Now() + absl::Microseconds(1)).ok());
        break;
      case 4:
        for (const Slice& slice : monitor_->Slices("fashion").slices()) {
          acknowledged += monitor_->AcknowledgeAlarm(Of(kKey, slice.key, slice.value)).ok() ? 1 : 0;
        }
        break;
      default:
        break;
    }
    EXPECT_TRUE(monitor_->state().restored.ok()) << monitor_->state().restored;
    clock_.Advance(absl::Milliseconds(random() % 5000));
  }
  EXPECT_GT(acknowledged, 0);
  const std::vector<Acknowledgement> acknowledgements = *store_.ListAcknowledgements(0);
  for (const Acknowledgement& at : acknowledgements) ASSERT_TRUE(whole.AddAcknowledgement(at).ok());
  const auto scratch = Create(whole);
  ASSERT_TRUE(scratch->WaitForPosition(static_cast<int64_t>(number_), kPatience));
  EXPECT_EQ(monitor_->Slices("fashion").slices(), scratch->Slices("fashion").slices());
  int compared = 0;
  for (const MonitorKey& key : keys) {
    for (const Slice& slice : scratch->Slices("fashion").slices()) {
      for (const std::string& window : options_.windows) {
        SCOPED_TRACE(absl::StrCat(window, " of ", key.calibrator_version, " ", slice.key, "=", slice.value));
        const MonitorKey of = Of(key, slice.key, slice.value);
        const WindowReport one = *monitor_->Report(of, window), other = *scratch->Report(of, window);
        EXPECT_EQ(one.label_position, other.label_position);
        EXPECT_EQ(one.truncated, other.truncated);
        EXPECT_EQ(one.alarm, other.alarm);
        ExpectSameMetrics(one.served, other.served);
        ExpectSameMetrics(one.uncalibrated, other.uncalibrated);
        ++compared;
      }
    }
  }
  EXPECT_GE(compared, 3 * 35 * 5);
  ASSERT_TRUE(monitor_->SaveCheckpoint().ok());
  ASSERT_TRUE(scratch->SaveCheckpoint().ok());
  EXPECT_EQ((*store_.LoadCheckpoint("monitoring"))->state, (*whole.LoadCheckpoint("monitoring"))->state);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SliceRestartTest, ::testing::Range(0, 10));

}  // namespace
}  // namespace calserve
