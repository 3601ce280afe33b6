#include "client/cli/alarm_text.h"

#include <gtest/gtest.h>

#include "client/cli/json_output.h"
#include "client/cli/selection_text.h"

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

TEST(SelectionTextTest, SaysHowManyHowSoonAndWhetherTheyLookLikeAll) {
  client::LabelSelection selection;
  selection.state = client::LabelSelection::State::kTooFewLabels;
  EXPECT_EQ(SelectionLine(selection), "labelled 0 of 0 predictions (0.0 %): TOO_FEW_LABELS");
  EXPECT_TRUE(ToJson(selection)["mean_label_delay_seconds"].is_null());
  selection = {client::LabelSelection::State::kSelectiveLabels,
               absl::UnixEpoch(),
               4000,
               120,
               0.03,
               0.83,
               0.71,
               130,
               absl::Seconds(9000),
               absl::Milliseconds(7200'500)};
  EXPECT_EQ(
      SelectionLine(selection),
      "labelled 120 of 4000 predictions (3.0 %), after 2h (median); mean confidence 0.710, of all 0.830: "
      "SELECTIVE_LABELS");
  EXPECT_EQ(ToJson(selection)["state"], "SELECTIVE_LABELS");
  EXPECT_EQ(ToJson(selection)["median_label_delay_seconds"], 7200.5);
}

}  // namespace
}  // namespace calserve::cli
