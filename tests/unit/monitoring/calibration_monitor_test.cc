#include "server/monitoring/calibration_monitor.h"

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/feedback/memory_store.h"
#include "tests/unit/monitoring/monitoring_testing.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Le;

class CalibrationMonitorTest : public ::testing::Test {
 protected:
  void Append(int64_t count, const MonitorKey& key = kKey) {
    std::vector<ScoredLabel> labels;
    for (int64_t i = 0; i < count; ++i) labels.push_back(LabelOf(++appended_, key));
    ASSERT_TRUE(store_.Append(absl::MakeSpan(labels), clock_.Now()).ok());
  }
  void Create() { monitor_ = *CalibrationMonitor::Create(options_, watched_, clock_, LookUpTemperature); }
  void WaitForAll() {
    monitor_->Notify();
    ASSERT_TRUE(monitor_->WaitForPosition(static_cast<int64_t>(appended_), kPatience));
  }
  WindowReport Report(const std::string& window, const MonitorKey& key = kKey) {
    return *monitor_->Report(key, window);
  }

  ManualClock clock_{kStart};
  MemoryStore store_;
  WatchedStore watched_{store_};
  MonitoringOptions options_;
  uint64_t appended_ = 0;
  std::unique_ptr<CalibrationMonitor> monitor_;
};

TEST_F(CalibrationMonitorTest, FoldsWhatIsAppended) {
  Create();
  Append(1500);
  WaitForAll();
  EXPECT_EQ(Report("last_1000").served.n, 1000);
  const WindowReport report = Report("last_10000");
  EXPECT_EQ(report.key, kKey);
  EXPECT_EQ(report.window, "last_10000");
  EXPECT_EQ(report.position, 1500);
  EXPECT_EQ(report.label_position, 1500);
  EXPECT_EQ(report.time, kStart);
  EXPECT_EQ(report.served.n, 1500);
  EXPECT_EQ(report.served.n_with_logits, 1500);
  EXPECT_EQ(report.uncalibrated.n, 1500);
  EXPECT_NE(report.served.nll, report.uncalibrated.nll);
  EXPECT_FALSE(report.served.ece_low.has_value());
}

TEST_F(CalibrationMonitorTest, CountsCalibratorVersionsApart) {
  Create();
  Append(3, {"fashion", 3, 0});
  Append(2, {"fashion", 3, 1});
  WaitForAll();
  EXPECT_EQ(Report("last_1000", {"fashion", 3, 0}).served.n, 3);
  EXPECT_EQ(Report("last_1000", {"fashion", 3, 1}).served.n, 2);
  EXPECT_EQ(Report("last_1000", {"fashion", 3, 1}).position, 5) << "the position is of any key";
}

TEST_F(CalibrationMonitorTest, ReportsAnEmptyWindowWhereNothingWasLabelled) {
  Create();
  const WindowReport report = Report("last_1h");
  EXPECT_EQ(report.served.n, 0);
  EXPECT_EQ(report.position, 0);
  EXPECT_EQ(report.label_position, 0);
  EXPECT_FALSE(report.catching_up);
}

TEST_F(CalibrationMonitorTest, UnknownWindowIsRefusedWithThoseThatThereAre) {
  Create();
  EXPECT_THAT(monitor_->Report(kKey, "last_week").status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("last_1000, last_10000, last_1h")));
}

TEST_F(CalibrationMonitorTest, TimeWindowForgetsAsTimePasses) {
  Create();
  Append(10);
  WaitForAll();
  clock_.Advance(absl::Minutes(30));
  Append(5);
  WaitForAll();
  EXPECT_EQ(Report("last_1h").served.n, 15);
  clock_.Advance(absl::Minutes(31));
  EXPECT_EQ(Report("last_1h").served.n, 5);
  EXPECT_EQ(Report("last_24h").served.n, 15);
}

TEST_F(CalibrationMonitorTest, ReportIsNeverBeforeTheLastLabel) {
  Create();
  Append(1);
  WaitForAll();
  clock_.Set(kStart - absl::Hours(3));
  EXPECT_EQ(Report("last_1h").time, kStart);
  EXPECT_EQ(Report("last_1h").served.n, 1);
}

TEST_F(CalibrationMonitorTest, CatchesUpUntilWhereTheLogEndedAtTheStart) {
  Append(10);
  watched_.HoldReads(true);
  Create();
  EXPECT_TRUE(Report("last_1000").catching_up);
  EXPECT_TRUE(monitor_->state().catching_up);
  EXPECT_FALSE(monitor_->WaitForPosition(10, absl::Milliseconds(1)));
  Append(10);
  watched_.HoldReads(false);
  ASSERT_TRUE(monitor_->WaitForPosition(10, kPatience));
  EXPECT_FALSE(Report("last_1000").catching_up);
}

TEST_F(CalibrationMonitorTest, RowsThatRetentionDeletedAreNotWaitedFor) {
  Append(10);
  ASSERT_EQ(*store_.DeleteBefore(kStart + absl::Seconds(1)), 10);
  Create();
  EXPECT_TRUE(monitor_->WaitForPosition(10, kPatience));
  EXPECT_FALSE(Report("last_1000").catching_up);
  EXPECT_EQ(Report("last_1000").served.n, 0);
}

TEST_F(CalibrationMonitorTest, KeepsItsStateWhileTheStoreFailsAndGoesOnAfter) {
  Create();
  Append(10);
  WaitForAll();
  store_.FailWith(absl::UnavailableError("disk full"));
  const int64_t before = watched_.heads();
  monitor_->Notify();
  absl::SleepFor(absl::Milliseconds(400));
  EXPECT_THAT(watched_.heads() - before, Le(8)) << "attempts come at growing distances";
  EXPECT_THAT(monitor_->state().log, StatusIs(absl::StatusCode::kUnavailable, HasSubstr("disk full")));
  EXPECT_EQ(Report("last_1000").served.n, 10);
  store_.FailWith(absl::OkStatus());
  Append(5);
  ASSERT_TRUE(monitor_->WaitForPosition(15, kPatience)) << "without another Notify";
  EXPECT_EQ(Report("last_1000").served.n, 15);
  EXPECT_TRUE(monitor_->state().log.ok());
}

TEST_F(CalibrationMonitorTest, LookupThatFailsIsTriedAgainAndLosesNothing) {
  Append(10);
  std::atomic<int> calls{0};
  monitor_ =
      *CalibrationMonitor::Create(options_, store_, clock_,
                                  [&](const std::string& model, int64_t model_version,
                                      int64_t version) -> absl::StatusOr<std::shared_ptr<const Calibrator>> {
                                    if (++calls < 3) return absl::UnavailableError("disk full");
                                    return LookUpTemperature(model, model_version, version);
                                  });
  WaitForAll();
  EXPECT_EQ(Report("last_1000").served.n_with_logits, 10);
}

TEST_F(CalibrationMonitorTest, RowWithAValueOutOfRangeIsSkippedAndCounted) {
  Create();
  std::vector<ScoredLabel> labels = {LabelOf(1, kKey), LabelOf(2, kKey)};
  labels[0].prediction.confidence = 7;
  ASSERT_TRUE(store_.Append(absl::MakeSpan(labels), clock_.Now()).ok());
  appended_ = 2;
  WaitForAll();
  EXPECT_EQ(Report("last_1000").served.n, 1);
  EXPECT_EQ(monitor_->state().skipped, 1);
}

TEST_F(CalibrationMonitorTest, CountsTheArrivalsOfLabelsFromTheStart) {
  Append(10);
  clock_.Advance(absl::Hours(30));
  Create();
  WaitForAll();
  const WindowReport before = Report("last_1000");
  EXPECT_EQ(before.counted_since, clock_.Now());
  EXPECT_EQ(before.arrivals.labels, 10);
  EXPECT_EQ(before.arrivals.labelled.n, 0) << "their predictions were not counted";
  std::vector<ScoredLabel> labels = {LabelOf(++appended_, kKey)};
  labels[0].prediction.issued_at = clock_.Now();
  clock_.Advance(absl::Minutes(7));
  ASSERT_TRUE(store_.Append(absl::MakeSpan(labels), clock_.Now()).ok());
  WaitForAll();
  const WindowReport after = Report("last_1000");
  EXPECT_EQ(after.arrivals.labels, 11);
  EXPECT_EQ(after.arrivals.labelled.n, 1);
  EXPECT_FLOAT_EQ(static_cast<float>(after.arrivals.labelled.mean()), labels[0].prediction.confidence);
  EXPECT_EQ(Report("last_1000", {"fashion", 3, 9}).arrivals.labels, 0);
}

TEST_F(CalibrationMonitorTest, TellsWhenItHasFolded) {
  Create();
  std::atomic<int> told{0};
  monitor_->SetOnFold([&] { ++told; });
  Append(10);
  WaitForAll();
  const absl::Time end = absl::Now() + kPatience;
  while (told == 0 && absl::Now() < end) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_GE(told, 1);
  monitor_->SetOnFold(nullptr);  // Waits for a call under way.
  const int before = told;
  Append(10);
  WaitForAll();
  EXPECT_EQ(told, before);
}

TEST_F(CalibrationMonitorTest, WritesACheckpointEachIntervalButOnlyAfterLabels) {
  options_.checkpoint_interval = absl::Milliseconds(20);
  Create();
  Append(10);
  WaitForAll();
  const absl::Time end = absl::Now() + kPatience;
  while (watched_.saves() == 0 && absl::Now() < end) absl::SleepFor(absl::Milliseconds(5));
  EXPECT_EQ(watched_.saves(), 1);
  absl::SleepFor(absl::Milliseconds(100));
  EXPECT_EQ(watched_.saves(), 1);
  EXPECT_EQ((*store_.LoadCheckpoint("monitoring"))->position, 10);
}

TEST_F(CalibrationMonitorTest, ACheckpointWritesOnlyTheKeysWithNewLabels) {
  const auto saved = [&] {
    EXPECT_TRUE(monitor_->SaveCheckpoint().ok());
    return watched_.written();
  };
  options_.max_keys = 2;
  Create();
  Append(3, {"fashion", 3, 1});
  Append(3, {"fashion", 3, 2});
  WaitForAll();
  EXPECT_THAT(saved(), ElementsAre("3/1/fashion", "3/2/fashion"));
  Append(1, {"fashion", 3, 2});
  WaitForAll();
  EXPECT_THAT(saved(), ElementsAre("3/2/fashion"));
  Create();
  Append(1, {"fashion", 3, 1});
  WaitForAll();
  EXPECT_THAT(saved(), ElementsAre("3/1/fashion")) << "also after a start";
  Append(1, {"fashion", 4, 0});
  WaitForAll();
  EXPECT_THAT(saved(), ElementsAre("4/0/fashion"));
  EXPECT_TRUE(store_.LoadCheckpointPart("monitoring", "3/1/fashion", 8).ok());
  EXPECT_EQ(store_.LoadCheckpointPart("monitoring", "3/2/fashion", 7).status().code(),
            absl::StatusCode::kNotFound)
      << "it made room";
}

TEST_F(CalibrationMonitorTest, ACheckpointThatAnotherReplacedIsWrittenWholeTheNextTime) {
  Create();
  Append(3, {"fashion", 3, 1});
  Append(3, {"fashion", 3, 2});
  WaitForAll();
  ASSERT_TRUE(monitor_->SaveCheckpoint().ok());
  ASSERT_TRUE(store_.SaveCheckpoint("monitoring", {}, {}).ok());
  Append(1, {"fashion", 3, 2});
  WaitForAll();
  EXPECT_THAT(monitor_->SaveCheckpoint(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("3/1/fashion")));
  EXPECT_FALSE(monitor_->state().checkpoint.ok());
  ASSERT_TRUE(monitor_->SaveCheckpoint().ok());
  EXPECT_THAT(watched_.written(), ElementsAre("3/1/fashion", "3/2/fashion"));
}

TEST_F(CalibrationMonitorTest, FailedCheckpointIsReportedAndTriedAgain) {
  Create();
  Append(10);
  WaitForAll();
  store_.FailWith(absl::UnavailableError("disk full"));
  EXPECT_THAT(monitor_->SaveCheckpoint(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("disk full")));
  EXPECT_FALSE(monitor_->state().checkpoint.ok());
  store_.FailWith(absl::OkStatus());
  EXPECT_TRUE(monitor_->SaveCheckpoint().ok());
  EXPECT_TRUE(monitor_->state().checkpoint.ok());
  EXPECT_EQ((*store_.LoadCheckpoint("monitoring"))->position, 10);
}

TEST_F(CalibrationMonitorTest, StoreThatCannotBeReadIsAStartUpError) {
  store_.FailWith(absl::UnavailableError("locked by another process"));
  EXPECT_THAT(CalibrationMonitor::Create(options_, store_, clock_, LookUpTemperature).status(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("locked")));
}

TEST_F(CalibrationMonitorTest, BadOptionsNameTheRuleAndTheValue) {
  const auto create = [&](auto change) {
    MonitoringOptions options;
    change(options);
    return CalibrationMonitor::Create(options, store_, clock_, LookUpTemperature).status();
  };
  const auto code = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(create([](auto& o) { o.windows.clear(); }), StatusIs(code, HasSubstr("at least one window")));
  EXPECT_THAT(create([](auto& o) { o.windows = {"last_5", "last_5"}; }), StatusIs(code, HasSubstr("differ")));
  EXPECT_THAT(create([](auto& o) { o.windows = {"yesterday"}; }), StatusIs(code, HasSubstr("yesterday")));
  EXPECT_THAT(create([](auto& o) { o.window_max_labels = 30'000'000; }),
              StatusIs(code, AllOf(HasSubstr("window_max_labels = 30000000 with windows = last_1000,"),
                                   HasSubstr("at most 900000000:"))));
  EXPECT_TRUE(CheckMonitoringOptions({.window_max_labels = 22'000'000}).ok());
  EXPECT_TRUE(CheckMonitoringOptions({.windows = {"last_10"}, .window_max_labels = 30'000'000}).ok());
  EXPECT_THAT(create([](auto& o) { o.max_keys = 0; }), StatusIs(code, HasSubstr("was 0")));
  EXPECT_THAT(create([](auto& o) { o.read_batch = 0; }), StatusIs(code, HasSubstr("was 0")));
  EXPECT_THAT(create([](auto& o) { o.checkpoint_interval = absl::ZeroDuration(); }),
              StatusIs(code, HasSubstr("> 0")));
}

}  // namespace
}  // namespace calserve
