#include "server/monitoring/folded_log.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/monitoring/monitoring_testing.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const MonitorKey kOther{"fashion", 3, 9};

class FoldedLogTest : public ::testing::Test {
 protected:
  void Create(std::vector<Acknowledgement> acknowledgements = {}) {
    WindowFoldConfig config{{*WindowSpec::Parse("last_1000")}};
    config.max_keys = 1;
    folded_ = std::make_unique<FoldedLog>(*WindowFold::Create(config), 0, acknowledgements, config.max_keys,
                                          kStart);
  }
  // Labels at a confidence of 0.9, a third of them right.
  static ScoredRow Row(int64_t position, const MonitorKey& key = kKey) {
    static const Attributes none;
    ScoredRow row;
    row.key = key;
    row.position = position;
    row.label.time_micros = absl::ToUnixMicros(kStart) + position;
    row.label.served = row.label.uncalibrated = {0.9f, position % 3 == 0};
    row.issued_at = kStart;
    row.attributes = &none;
    return row;
  }
  void Fold(int64_t count, const MonitorKey& key = kKey) {
    std::vector<ScoredRow> rows;
    for (int64_t i = 0; i < count; ++i) rows.push_back(Row(folded_->position() + 1 + i, key));
    folded_->Fold(rows);
  }
  WindowReport Report(const MonitorKey& key = kKey) { return folded_->Report(key, 0, "last_1000", 0); }
  static Acknowledgement At(int64_t position) {
    return {kKey.model, kKey.model_version, kKey.calibrator_version, position, kStart};
  }

  std::unique_ptr<FoldedLog> folded_;
};

TEST_F(FoldedLogTest, AReportIsOfThePositionThatWasFolded) {
  Create();
  Fold(10);
  folded_->AdvanceTo(15);
  folded_->AdvanceTo(12);
  const WindowReport report = Report();
  EXPECT_EQ(report.window, "last_1000");
  EXPECT_EQ(report.served.n, 10);
  EXPECT_EQ(report.position, 15);
  EXPECT_EQ(report.label_position, 10);
  EXPECT_EQ(report.time, kStart + absl::Microseconds(10)) << "not before the last label";
  EXPECT_EQ(report.arrivals.labels, 10);
}

TEST_F(FoldedLogTest, AcknowledgementsOfBeforeAreTakenInWhereTheyWereGiven) {
  Create();
  Fold(200);
  ASSERT_TRUE(folded_->CheckAcknowledgeable(kKey).ok());
  folded_->Acknowledge(At(200));
  Fold(50);
  const AlarmStatus live = folded_->fold().Alarm(kKey);
  EXPECT_EQ(live.labels, 50);

  Create({At(200)});
  Fold(250);
  EXPECT_EQ(folded_->fold().Alarm(kKey), live);
  Create({At(200)});
  Fold(200);
  EXPECT_EQ(Report().alarm.acknowledgements, 1) << "also where no label has come since";
}

TEST_F(FoldedLogTest, WhereNoAlarmIsRaisedThereIsNothingToAcknowledge) {
  Create();
  Fold(1);
  EXPECT_THAT(folded_->CheckAcknowledgeable(kKey),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("'fashion' version 3 calibrator 2 has no alarm")));
  MonitorKey slice = kKey;
  slice.slice = {"camera", "north"};
  EXPECT_THAT(folded_->CheckAcknowledgeable(slice),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("slice camera=north")));
}

TEST_F(FoldedLogTest, ARowOutOfRangeIsSkippedAndCountsNowhere) {
  Create();
  ScoredRow row = Row(1);
  row.label.served.confidence = 2;
  folded_->Fold({row});
  EXPECT_EQ(folded_->skipped(), 1);
  EXPECT_EQ(folded_->position(), 1);
  EXPECT_EQ(Report().arrivals.labels, 0);
}

TEST_F(FoldedLogTest, ArrivalsGoWithTheKeyThatMakesRoom) {
  Create();
  Fold(10);
  Fold(1, kOther);
  EXPECT_EQ(folded_->Arrivals(kKey).labels, 0);
  EXPECT_EQ(folded_->Arrivals(kOther).labels, 1);
}

TEST_F(FoldedLogTest, SetsAreCountedForTheThresholdsOfTheirCalibrator) {
  Create();
  ScoredRow row = Row(1);
  row.label.extras.SetSet(0, {true, 3});
  folded_->Fold({row});
  EXPECT_THAT(Report().set_coverage, IsEmpty()) << "thresholds are not known yet";
  SetThreshold threshold;
  threshold.alpha = 0.1;
  folded_->SetThresholds(kKey, {threshold});
  ASSERT_THAT(Report().set_coverage, SizeIs(1));
  EXPECT_EQ(Report().set_coverage[0].threshold.alpha, 0.1);
  EXPECT_EQ(Report().set_coverage[0].counts, (SetCounts{1, 1, 3}));
}

TEST_F(FoldedLogTest, AShadowCountsWhatItWouldHaveSaid) {
  Create();
  ShadowFold::Entry entry;
  entry.shadow = {kOther, 5, std::make_shared<const Calibrator>(TemperatureOf(3))};
  entry.windows = *folded_->fold().NewWindows(kOther);
  folded_->shadows().Add(std::move(entry));
  ScoredRow row = Row(6);
  row.shadows.emplace_back(kOther, row.label);
  folded_->Fold({row, Row(7)});
  EXPECT_EQ(Report(kOther).served.n, 1);
  EXPECT_EQ(Report(kOther).shadow_after, 5);
  EXPECT_EQ(folded_->Revision(kOther), (KeyRevision{6, 0}));
  EXPECT_EQ(Report().served.n, 2);
  EXPECT_EQ(folded_->Revision(kKey), (KeyRevision{7, 0}));
}

}  // namespace
}  // namespace calserve
