#include "client/cli/alarm_text.h"

#include <gtest/gtest.h>

#include "client/cli/json_output.h"

namespace calserve::cli {
namespace {

client::AlarmInfo Raised() {
  client::AlarmInfo alarm;
  alarm.state = client::AlarmInfo::State::kRaised;
  alarm.status.labels = 812;
  alarm.status.e_overconfident = 412;
  alarm.status.e_underconfident = 0.031;
  alarm.status.threshold = 328.99;
  alarm.status.raised =
      RaisedAlarm{GapDirection::kOverconfident, {812, 1'700'000'000'123'000}, {640, 1'700'000'000'000'000}};
  return alarm;
}

TEST(AlarmTextTest, SaysWhatWasFoundSinceWhenAndFromWhereOn) {
  EXPECT_EQ(AlarmLine(Raised()),
            "ALARM: overconfident since label 812 (2023-11-14T22:13:20.123Z), begun about label 640 "
            "(2023-11-14T22:13:20.000Z); e-value 412 of 329");
}

TEST(AlarmTextTest, OfAQuietOneSaysHowFarItIs) {
  client::AlarmInfo alarm = Raised();
  alarm.state = client::AlarmInfo::State::kQuiet;
  alarm.status.raised.reset();
  EXPECT_EQ(AlarmLine(alarm), "no alarm: e-values 412 over, 0.031 under, of 329; 812 labels");
}

TEST(AlarmTextTest, WhatIsNotActiveIsNoAlarm) {
  client::AlarmInfo alarm = Raised();
  alarm.state = client::AlarmInfo::State::kNotActive;
  EXPECT_EQ(AlarmLine(alarm).rfind("not active, no alarm: overconfident since", 0), 0u);
}

TEST(AlarmTextTest, EValuesTakeFewDigits) {
  EXPECT_EQ(EValueText(1), "1");
  EXPECT_EQ(EValueText(3.14159), "3.1");
  EXPECT_EQ(EValueText(12345.6), "12346");
  EXPECT_EQ(EValueText(1.6e60), "1.6e+60");
  EXPECT_EQ(EValueText(2e-9), "2e-09");
}

TEST(AlarmTextTest, JsonHasNullsWhereNothingWasFound) {
  client::AlarmInfo alarm = Raised();
  EXPECT_EQ(ToJson(alarm)["direction"], "OVERCONFIDENT");
  EXPECT_EQ(ToJson(alarm)["since"]["position"], 812);
  EXPECT_EQ(ToJson(alarm)["change_point"]["position"], 640);
  EXPECT_EQ(ToJson(alarm)["state"], "RAISED");
  EXPECT_TRUE(ToJson(alarm)["acknowledged"].is_null());
  alarm.status.raised.reset();
  EXPECT_TRUE(ToJson(alarm)["direction"].is_null());
  EXPECT_TRUE(ToJson(alarm)["since"].is_null());
}

}  // namespace
}  // namespace calserve::cli
