#include "server/rpc/calibration_convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/error_info.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

void ExpectRefused(const absl::Status& status, absl::string_view field, const std::string& rule) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorField(status), field);
  EXPECT_THAT(std::string(status.message()), HasSubstr(rule));
}

TEST(TimeToProtoTest, NanosCountForwardsAlsoBefore1970) {
  const google::protobuf::Timestamp after = ToProto(absl::FromUnixSeconds(9) + absl::Nanoseconds(7));
  EXPECT_EQ(after.seconds(), 9);
  EXPECT_EQ(after.nanos(), 7);
  const google::protobuf::Timestamp before = ToProto(absl::UnixEpoch() - absl::Milliseconds(250));
  EXPECT_EQ(before.seconds(), -1);
  EXPECT_EQ(before.nanos(), 750'000'000);
}

CalibratorVersion Platt() {
  CalibratorVersion version;
  version.model = "pets";
  version.model_version = 3;
  version.version = 5;
  version.digest = "c0de";
  version.origin = "fit";
  version.state = CalibratorState::kActive;
  version.created = absl::FromUnixSeconds(100);
  version.activated = absl::FromUnixSeconds(200);
  version.spec = {CalibrationMethod::kPlatt, 2, {{"slope", {-1.5}}, {"offset", {0.25}}}};
  version.report.emplace().n = 42;
  return version;
}

TEST(CalibratorToProtoTest, CarriesEverythingThatIsKnown) {
  const v1::Calibrator calibrator = ToProto(Platt());
  EXPECT_EQ(calibrator.model(), "pets");
  EXPECT_EQ(calibrator.model_version(), 3);
  EXPECT_EQ(calibrator.version(), 5);
  EXPECT_EQ(calibrator.method(), "platt");
  EXPECT_EQ(calibrator.state(), v1::CALIBRATOR_STATE_ACTIVE);
  ASSERT_EQ(calibrator.parameters_size(), 2);
  EXPECT_EQ(calibrator.parameters(0).name(), "slope");
  EXPECT_THAT(calibrator.parameters(0).values(), ElementsAre(-1.5));
  EXPECT_EQ(calibrator.parameters(1).name(), "offset");
  EXPECT_THAT(calibrator.parameters(1).values(), ElementsAre(0.25));
  EXPECT_EQ(calibrator.digest(), "c0de");
  EXPECT_EQ(calibrator.origin(), "fit");
  EXPECT_EQ(calibrator.create_time().seconds(), 100);
  EXPECT_EQ(calibrator.activate_time().seconds(), 200);
  EXPECT_EQ(calibrator.report().n(), 42);
}

TEST(CalibratorToProtoTest, EveryStateHasItsName) {
  CalibratorVersion version = Platt();
  version.state = CalibratorState::kFitted;
  EXPECT_EQ(ToProto(version).state(), v1::CALIBRATOR_STATE_FITTED);
  version.state = CalibratorState::kRetired;
  EXPECT_EQ(ToProto(version).state(), v1::CALIBRATOR_STATE_RETIRED);
}

TEST(CalibratorToProtoTest, WhatIsNotKnownIsUnset) {
  CalibratorVersion softmax;
  softmax.model = "pets";
  const v1::Calibrator calibrator = ToProto(softmax);
  EXPECT_EQ(calibrator.method(), "none");
  EXPECT_FALSE(calibrator.has_create_time());
  EXPECT_FALSE(calibrator.has_activate_time());
  EXPECT_FALSE(calibrator.has_report());
}

TEST(WindowReportToProtoTest, CarriesTheKeyThePositionAndBothMetrics) {
  WindowReport report;
  report.key = {"pets", 3, 5};
  report.window = "last_1h";
  report.position = 77;
  report.time = absl::FromUnixSeconds(300);
  report.served.n = 10;
  report.served.ece = 0.125;
  report.uncalibrated.n = 11;
  report.catching_up = true;
  report.alarm.labels = 4;
  report.alarm.raised = RaisedAlarm{GapDirection::kUnderconfident, {70, 1'000'000}, {60, 900'000}};
  report.counted_since = absl::FromUnixSeconds(100);
  report.arrivals = {{2, 1.5, 1.25}, 3, absl::Milliseconds(1500), absl::Seconds(1)};
  const ConfidenceSums issued{4, 2, 1};
  const v1::WindowReport proto = ToProto(report, {true, issued});
  EXPECT_EQ(proto.model(), "pets");
  EXPECT_EQ(proto.model_version(), 3);
  EXPECT_EQ(proto.calibrator_version(), 5);
  EXPECT_EQ(proto.window(), "last_1h");
  EXPECT_EQ(proto.as_of().position(), 77);
  EXPECT_EQ(proto.as_of().time().seconds(), 300);
  EXPECT_EQ(proto.served().n(), 10);
  EXPECT_EQ(proto.served().ece(), 0.125);
  EXPECT_EQ(proto.uncalibrated().n(), 11);
  EXPECT_TRUE(proto.catching_up());
  EXPECT_FALSE(proto.truncated());
  report.catching_up = false;
  report.truncated = true;
  EXPECT_FALSE(ToProto(report, {true, issued}).catching_up());
  EXPECT_TRUE(ToProto(report, {true, issued}).truncated());
  EXPECT_EQ(proto.alarm().labels(), 4);
  EXPECT_EQ(proto.alarm().state(), v1::ALARM_STATE_RAISED);
  EXPECT_EQ(ToProto(report, {false, issued}).alarm().state(), v1::ALARM_STATE_NOT_ACTIVE);
  EXPECT_EQ(proto.selection().state(), v1::SELECTION_STATE_TOO_FEW_LABELS);
  EXPECT_EQ(proto.selection().since().seconds(), 100);
  EXPECT_EQ(proto.selection().issued(), 4);
  EXPECT_EQ(proto.selection().labelled(), 2);
  EXPECT_EQ(proto.selection().labelled_share(), 0.5);
  EXPECT_EQ(proto.selection().mean_confidence_issued(), 0.5);
  EXPECT_EQ(proto.selection().mean_confidence_labelled(), 0.75);
  EXPECT_EQ(proto.selection().labels(), 3);
  EXPECT_EQ(proto.selection().mean_label_delay().seconds(), 1);
  EXPECT_EQ(proto.selection().mean_label_delay().nanos(), 500'000'000);
  EXPECT_EQ(proto.selection().median_label_delay().seconds(), 1);
  report.window.clear();
  EXPECT_FALSE(ToProto(report, {true, issued}).has_selection());
  EXPECT_FALSE(ToProto(report, {true, issued}).has_alarm()) << "stored labels have none";
}

TEST(FitMethodFromProtoTest, OnlyAMethodThatIsFittedIsTaken) {
  EXPECT_EQ(*FitMethodFromProto(v1::CALIBRATION_METHOD_TEMPERATURE), CalibrationMethod::kTemperature);
  EXPECT_EQ(*FitMethodFromProto(v1::CALIBRATION_METHOD_PLATT), CalibrationMethod::kPlatt);
  for (const int method : {0, 1, 99}) {
    ExpectRefused(FitMethodFromProto(static_cast<v1::CalibrationMethod>(method)).status(),
                  "specification.method", absl::StrCat("was ", method));
  }
}

TEST(FitMethodFromProtoTest, AutoAndEveryNewMethodIsTaken) {
  EXPECT_EQ(*FitMethodFromProto(v1::CALIBRATION_METHOD_AUTO), CalibrationMethod::kAuto);
  EXPECT_EQ(*FitMethodFromProto(v1::CALIBRATION_METHOD_VECTOR_SCALING), CalibrationMethod::kVectorScaling);
}

TEST(FitOptionsFromProtoTest, ZeroesAreTheDefaults) {
  const absl::StatusOr<FitOptions> options = FitOptionsFromProto({});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->folds, 5);
  EXPECT_EQ(options->holdout, 0);
  EXPECT_EQ(options->outer_folds, 0);
}

TEST(FitOptionsFromProtoTest, TakesWhatAFitTakesAndNamesTheFieldOfTheRest) {
  v1::FitSpecification from;
  from.set_method(v1::CALIBRATION_METHOD_AUTO);
  from.set_folds(3);
  from.set_holdout(0.25);
  from.set_outer_folds(4);
  const absl::StatusOr<FitOptions> options = FitOptionsFromProto(from);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->folds, 3);
  EXPECT_EQ(options->holdout, 0.25);
  EXPECT_EQ(options->outer_folds, 4);
  from.set_folds(21);
  ExpectRefused(FitOptionsFromProto(from).status(), "specification.folds", "was 21");
  from.set_folds(0);
  from.set_holdout(0.95);
  ExpectRefused(FitOptionsFromProto(from).status(), "specification.holdout", "was 0.95");
  from.set_holdout(0);
  from.set_outer_folds(1);
  ExpectRefused(FitOptionsFromProto(from).status(), "specification.outer_folds", "was 1");
  from.set_outer_folds(4);
  from.set_method(v1::CALIBRATION_METHOD_TEMPERATURE);
  ExpectRefused(FitOptionsFromProto(from).status(), "specification.outer_folds", "with method AUTO");
}

TEST(SelectionFromProtoTest, AnEmptyOneSelectsEverything) {
  const absl::StatusOr<LogSelection> selection = SelectionFromProto({});
  ASSERT_TRUE(selection.ok()) << selection.status();
  EXPECT_EQ(selection->start, absl::InfinitePast());
  EXPECT_EQ(selection->end, absl::InfiniteFuture());
  EXPECT_TRUE(selection->sources.empty());
}

TEST(SelectionFromProtoTest, TakesTimesAndSources) {
  v1::StoredSelection from;
  from.mutable_start_time()->set_seconds(100);
  from.mutable_start_time()->set_nanos(5);
  from.mutable_end_time()->set_seconds(200);
  from.add_sources("clinic");
  from.add_excluded_sources("crowd");
  from.add_excluded_sources("bot");
  const absl::StatusOr<LogSelection> selection = SelectionFromProto(from);
  ASSERT_TRUE(selection.ok()) << selection.status();
  EXPECT_EQ(selection->start, absl::FromUnixSeconds(100) + absl::Nanoseconds(5));
  EXPECT_EQ(selection->end, absl::FromUnixSeconds(200));
  EXPECT_THAT(selection->sources, ElementsAre("clinic"));
  EXPECT_THAT(selection->excluded_sources, ElementsAre("crowd", "bot"));
}

TEST(SelectionFromProtoTest, ATimeOutsideTheYears1To9999IsNone) {
  v1::StoredSelection selection;
  selection.mutable_start_time()->set_seconds(-62135596800);
  selection.mutable_end_time()->set_seconds(253402300799);
  selection.mutable_end_time()->set_nanos(999'999'999);
  EXPECT_TRUE(SelectionFromProto(selection).ok());
  selection.mutable_end_time()->set_nanos(1'000'000'000);
  ExpectRefused(SelectionFromProto(selection).status(), "stored.end_time", "1000000000 ns");
  selection.mutable_end_time()->set_nanos(-1);
  ExpectRefused(SelectionFromProto(selection).status(), "stored.end_time", "-1 ns");
  selection.clear_end_time();
  for (const int64_t seconds : {int64_t{-62135596801}, int64_t{253402300800}, INT64_MIN, INT64_MAX}) {
    selection.mutable_start_time()->set_seconds(seconds);
    ExpectRefused(SelectionFromProto(selection).status(), "stored.start_time", absl::StrCat(seconds, " s"));
  }
}

TEST(SelectionFromProtoTest, TheEndIsNotBeforeTheStart) {
  v1::StoredSelection selection;
  selection.mutable_start_time()->set_seconds(200);
  selection.mutable_end_time()->set_seconds(200);
  EXPECT_TRUE(SelectionFromProto(selection).ok());
  selection.mutable_end_time()->set_seconds(199);
  ExpectRefused(SelectionFromProto(selection).status(), "stored.end_time", "not be before start_time");
}

TEST(SelectionFromProtoTest, RowsAndSourcesHaveTheirBounds) {
  v1::StoredSelection selection;
  selection.set_max_rows(-1);
  ExpectRefused(SelectionFromProto(selection).status(), "stored.max_rows", "was -1");
  selection.set_max_rows(0);
  for (int i = 0; i < 60; ++i) selection.add_sources("a");
  for (int i = 0; i < 40; ++i) selection.add_excluded_sources("b");
  EXPECT_TRUE(SelectionFromProto(selection).ok());
  selection.add_sources("c");
  ExpectRefused(SelectionFromProto(selection).status(), "stored.sources",
                "at most 100 sources may be named; were 101");
}

}  // namespace
}  // namespace calserve
