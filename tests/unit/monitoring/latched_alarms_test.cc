#include "server/monitoring/latched_alarms.h"

#include "gtest/gtest.h"

namespace calserve {
namespace {

MonitorKey Key(int64_t version, Slice slice = {}) { return {"fashion", 3, version, std::move(slice)}; }

CalibrationAlarm RaisedAlarm(int64_t labels = 200) {
  CalibrationAlarm alarm;
  for (int64_t i = 1; i <= labels; ++i) alarm.Push(0.9, false, {i, i});
  EXPECT_TRUE(alarm.raised());
  return alarm;
}

TEST(LatchedAlarmsTest, TakingOneForgetsIt) {
  LatchedAlarms alarms;
  alarms.Keep(Key(1), 200, RaisedAlarm());
  ASSERT_NE(alarms.Find(Key(1)), nullptr);
  EXPECT_EQ(alarms.Find(Key(2)), nullptr);
  EXPECT_EQ(alarms.Take(Key(1))->Status(), RaisedAlarm().Status());
  EXPECT_EQ(alarms.Find(Key(1)), nullptr);
  EXPECT_FALSE(alarms.Take(Key(1)).has_value());
}

TEST(LatchedAlarmsTest, AnAcknowledgedOneIsKept) {
  LatchedAlarms alarms;
  alarms.Keep(Key(1), 200, RaisedAlarm());
  EXPECT_FALSE(alarms.Acknowledge(Key(2), {300, 300}));
  EXPECT_TRUE(alarms.Acknowledge(Key(1), {300, 300}));
  EXPECT_FALSE(alarms.Acknowledge(Key(1), {301, 301}));
  EXPECT_EQ(alarms.Find(Key(1))->Status().acknowledgements, 1);
}

TEST(LatchedAlarmsTest, OfTooManyTheOneFurthestBackInTheLogIsForgottenASliceBeforeItsWhole) {
  LatchedAlarms alarms;
  const CalibrationAlarm raised = RaisedAlarm();
  alarms.Keep(Key(1), 5, raised);
  alarms.Keep(Key(1, {"camera", "north"}), 5, raised);
  const auto rest = static_cast<int64_t>(LatchedAlarms::kMaxAlarms) - 2;
  for (int64_t i = 0; i < rest; ++i) alarms.Keep(Key(100 + i), 6 + i, raised);
  ASSERT_NE(alarms.Find(Key(1, {"camera", "north"})), nullptr);
  alarms.Keep(Key(2), 10'000, raised);
  EXPECT_EQ(alarms.Find(Key(1, {"camera", "north"})), nullptr);
  ASSERT_NE(alarms.Find(Key(1)), nullptr);
  alarms.Keep(Key(3), 10'000, raised);
  EXPECT_EQ(alarms.Find(Key(1)), nullptr);
  EXPECT_NE(alarms.Find(Key(100)), nullptr);
  alarms.Keep(Key(4), 1, raised);
  EXPECT_EQ(alarms.Find(Key(4)), nullptr) << "it is itself the one furthest back";
}

TEST(LatchedAlarmsTest, ComeBackFromTheirBytes) {
  LatchedAlarms alarms;
  alarms.Keep(Key(1, {"camera", "north"}), 200, RaisedAlarm());
  alarms.Keep(Key(2), 300, RaisedAlarm(300));
  FoldWriter writer;
  alarms.Write(writer);
  const std::string bytes = std::move(writer).Finish();
  FoldReader reader(bytes);
  const absl::StatusOr<LatchedAlarms> read = LatchedAlarms::Read(reader);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(reader.Finish().ok());
  FoldWriter again;
  read->Write(again);
  EXPECT_EQ(std::move(again).Finish(), bytes);
  EXPECT_EQ(read->Find(Key(2))->Status(), RaisedAlarm(300).Status());
}

TEST(LatchedAlarmsTest, KeepOnlyForgetsTheOthers) {
  LatchedAlarms alarms;
  alarms.Keep(Key(1), 200, RaisedAlarm());
  alarms.Keep(Key(2), 200, RaisedAlarm());
  alarms.KeepOnly([](const MonitorKey& key, const CalibrationAlarm& alarm) {
    return key.calibrator_version == 2 && alarm.raised();
  });
  EXPECT_EQ(alarms.Find(Key(1)), nullptr);
  EXPECT_NE(alarms.Find(Key(2)), nullptr);
}

}  // namespace
}  // namespace calserve
