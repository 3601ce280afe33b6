#include "calibration_io/alarm_proto.h"

#include <gtest/gtest.h>

namespace calserve {
namespace {

AlarmStatus Raised() {
  AlarmStatus status;
  status.options = {0.02, 0.001};
  status.labels = 812;
  status.e_overconfident = 1234.5;
  status.e_underconfident = 0.25;
  status.threshold = 329;
  status.e_exact = 1e9;
  status.raised = RaisedAlarm{GapDirection::kOverconfident, {900, 1'700'000'000'123'456}, {640, -1}};
  status.acknowledgements = 2;
  status.acknowledged = LogPoint{88, 1'600'000'000'000'001};
  return status;
}

TEST(AlarmProtoTest, ComesBackAsItWas) {
  AlarmStatus status = Raised();
  EXPECT_EQ(AlarmFromProto(AlarmToProto(status, true)), status);
  status.raised->direction = GapDirection::kUnderconfident;
  EXPECT_EQ(AlarmFromProto(AlarmToProto(status, false)), status);
  status.raised.reset();
  status.acknowledged.reset();
  EXPECT_EQ(AlarmFromProto(AlarmToProto(status, true)), status);
}

TEST(AlarmProtoTest, OnlyWhatIsActiveIsAlarmed) {
  EXPECT_EQ(AlarmToProto(Raised(), true).state(), v1::ALARM_STATE_RAISED);
  EXPECT_EQ(AlarmToProto(Raised(), false).state(), v1::ALARM_STATE_NOT_ACTIVE);
  EXPECT_EQ(AlarmToProto(AlarmStatus(), true).state(), v1::ALARM_STATE_QUIET);
  EXPECT_EQ(AlarmToProto(AlarmStatus(), true).direction(), v1::GAP_DIRECTION_UNSPECIFIED);
  EXPECT_FALSE(AlarmToProto(AlarmStatus(), true).has_since());
}

TEST(AlarmProtoTest, TimesBeforeTheEpochAreValidTimestamps) {
  const v1::CalibrationAlarm alarm = AlarmToProto(Raised(), true);
  EXPECT_EQ(alarm.change_point().time().seconds(), -1);
  EXPECT_EQ(alarm.change_point().time().nanos(), 999'999'000);
  EXPECT_EQ(alarm.since().time().nanos(), 123'456'000);
}

}  // namespace
}  // namespace calserve
