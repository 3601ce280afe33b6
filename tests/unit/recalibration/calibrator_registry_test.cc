#include "server/recalibration/calibrator_registry.h"

#include <set>
#include <thread>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "tests/unit/feedback/memory_store.h"
#include "tests/unit/recalibration/recalibration_testing.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;
using ::testing::IsSupersetOf;

// A value that another thread gives.
class FitOutcome {
 public:
  CalibratorRegistry::FitDone Done() {
    return [this](absl::StatusOr<CalibratorVersion> version) {
      MutexLock lock(&mu_);
      version_ = std::move(version);
      given_.SignalAll();
    };
  }
  absl::StatusOr<CalibratorVersion> Wait() {
    MutexLock lock(&mu_);
    while (!version_.has_value()) given_.Wait(&mu_);
    return *version_;
  }

 private:
  Mutex mu_;
  CondVar given_;
  std::optional<absl::StatusOr<CalibratorVersion>> version_ ABSL_GUARDED_BY(mu_);
};

// Progress that holds the fit at its first step until it is opened.
class HeldProgress {
 public:
  CalibratorRegistry::Progress Hold() {
    return [this](const std::string&, double, int64_t) {
      MutexLock lock(&mu_);
      reached_ = true;
      changed_.SignalAll();
      while (!open_) changed_.Wait(&mu_);
      return true;
    };
  }
  void WaitUntilReached() {
    MutexLock lock(&mu_);
    while (!reached_) changed_.Wait(&mu_);
  }
  void Open() {
    MutexLock lock(&mu_);
    open_ = true;
    changed_.SignalAll();
  }

 private:
  Mutex mu_;
  CondVar changed_;
  bool reached_ ABSL_GUARDED_BY(mu_) = false, open_ ABSL_GUARDED_BY(mu_) = false;
};

class CalibratorRegistryTest : public ::testing::Test {
 protected:
  void Create() {
    registry_ = *CalibratorRegistry::Create(options_, store_, clock_, [](const CalibratorVersion&) {});
    ASSERT_TRUE(registry_->AddModelVersion(kTarget, "").ok());
  }
  void AppendOverconfident(int rows) {
    std::vector<ScoredLabel> labels = ScoredLabels(OverconfidentLogits(rows, 2.5), Calibrator::None(4), 0, 1);
    ASSERT_TRUE(store_.Append(absl::MakeSpan(labels), clock_.Now()).ok());
  }
  absl::StatusOr<CalibratorVersion> FitStored(int64_t max_rows = 0,
                                              CalibratorRegistry::Progress progress = nullptr) {
    FitOutcome outcome;
    registry_->FitStored(kTarget, CalibrationMethod::kTemperature, {.folds = 5}, {}, max_rows,
                         std::move(progress), outcome.Done());
    return outcome.Wait();
  }
  absl::StatusOr<CalibratorVersion> FitUploaded(LabelledLogits data) {
    FitOutcome outcome;
    registry_->FitUploaded(kTarget, CalibrationMethod::kTemperature, {.folds = 0}, std::move(data), nullptr,
                           outcome.Done());
    return outcome.Wait();
  }

  ManualClock clock_{kStart};
  MemoryStore store_;
  RecalibrationOptions options_;
  std::unique_ptr<CalibratorRegistry> registry_;
};

TEST_F(CalibratorRegistryTest, FitToStoredFeedbackOfAnOverconfidentModelLowersItsNll) {
  Create();
  AppendOverconfident(4000);
  const CalibratorVersion fitted = *FitStored();
  EXPECT_EQ(fitted.spec.method, CalibrationMethod::kTemperature);
  EXPECT_NEAR(fitted.spec.parameters[0].values[0], 2.5, 0.15);
  EXPECT_EQ(fitted.report->n, 4000);
  EXPECT_LT(*fitted.report->after.nll, *fitted.report->before.nll);
  EXPECT_LT(*fitted.report->cross_validated->nll, *fitted.report->before.nll);
  EXPECT_EQ(fitted.state, CalibratorState::kFitted);
  EXPECT_EQ(registry_->Active("fashion", 3).version, 0) << "a fit activates nothing";
  EXPECT_EQ(registry_->List("fashion")->size(), 1);
}

TEST_F(CalibratorRegistryTest, FitUsesTheNewestRowsOfTheSelection) {
  Create();
  AppendOverconfident(500);
  EXPECT_EQ(FitStored(100)->report->n, 100);
}

TEST_F(CalibratorRegistryTest, FitToAnUploadedSet) {
  Create();
  const CalibratorVersion fitted = *FitUploaded(OverconfidentLogits(2000, 2.5));
  EXPECT_EQ(fitted.report->n, 2000);
  EXPECT_EQ(fitted.version, 1);
  EXPECT_FALSE(fitted.report->cross_validated.has_value());
}

TEST_F(CalibratorRegistryTest, ProgressNamesEveryStage) {
  Create();
  AppendOverconfident(200);
  std::set<std::string> stages;
  int64_t most_rows = 0;
  ASSERT_TRUE(FitStored(0, [&](const std::string& stage, double fraction, int64_t rows) {
                EXPECT_GE(fraction, 0);
                EXPECT_LE(fraction, 1);
                stages.insert(stage);
                most_rows = std::max(most_rows, rows);
                return true;
              }).ok());
  EXPECT_THAT(stages, IsSupersetOf({"reading", "fitting", "cross-validating", "storing"}));
  EXPECT_EQ(most_rows, 200);
}

TEST_F(CalibratorRegistryTest, DataThatCannotSupportAFitLeaveWhatIsActive) {
  Create();
  AppendOverconfident(500);
  const int64_t active = FitStored()->version;
  ASSERT_TRUE(registry_->Activate("fashion", 3, active, 0).ok());
  LabelledLogits one_class = OverconfidentLogits(500, 2.5);
  std::fill(one_class.labels.begin(), one_class.labels.end(), 2);
  EXPECT_THAT(FitUploaded(one_class).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("of class 2")));
  EXPECT_THAT(FitStored(5).status(), StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("has 5")));
  EXPECT_EQ(registry_->Active("fashion", 3).version, active);
  EXPECT_EQ(registry_->List("fashion")->size(), 1);
}

TEST_F(CalibratorRegistryTest, EachStageCanBeCancelled) {
  Create();
  AppendOverconfident(200);
  for (const std::string cancelled : {"reading", "fitting", "cross-validating", "storing"}) {
    EXPECT_THAT(
        FitStored(0, [&](const std::string& stage, double, int64_t) { return stage != cancelled; }).status(),
        StatusIs(absl::StatusCode::kCancelled, HasSubstr("cancelled")))
        << cancelled;
  }
  EXPECT_EQ(registry_->List("fashion")->size(), 0);
}

TEST_F(CalibratorRegistryTest, MoreFitsThanMayWaitAreRefusedAtOnce) {
  options_.max_queued_fits = 1;
  Create();
  AppendOverconfident(200);
  HeldProgress held;
  FitOutcome running, waiting, refused;
  const auto fit = [&](FitOutcome& outcome, CalibratorRegistry::Progress progress) {
    registry_->FitStored(kTarget, CalibrationMethod::kTemperature, {.folds = 0}, {}, 0, std::move(progress),
                         outcome.Done());
  };
  fit(running, held.Hold());
  held.WaitUntilReached();
  fit(waiting, nullptr);
  fit(refused, nullptr);
  const absl::Status status = refused.Wait().status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("1 fits wait")));
  EXPECT_EQ(ErrorReason(status), "FIT_QUEUE_FULL");
  held.Open();
  EXPECT_TRUE(running.Wait().ok());
  EXPECT_TRUE(waiting.Wait().ok());
}

TEST_F(CalibratorRegistryTest, DestructionCancelsTheFitUnderWayAndThoseThatWait) {
  Create();
  AppendOverconfident(200);
  HeldProgress held;
  FitOutcome running, waiting;
  registry_->FitStored(kTarget, CalibrationMethod::kTemperature, {.folds = 5}, {}, 0, held.Hold(),
                       running.Done());
  held.WaitUntilReached();
  registry_->FitStored(kTarget, CalibrationMethod::kTemperature, {.folds = 5}, {}, 0, nullptr,
                       waiting.Done());
  std::thread destroyer([&] { registry_.reset(); });
  absl::SleepFor(absl::Milliseconds(50));
  held.Open();
  destroyer.join();
  EXPECT_TRUE(absl::IsCancelled(running.Wait().status()));
  EXPECT_TRUE(absl::IsCancelled(waiting.Wait().status()));
}

TEST_F(CalibratorRegistryTest, WhatAMethodTakesBesideTheLogitsCountsToo) {
  options_.fit_max_bytes = 100 * 4 * (4 + 8);
  Create();
  const LabelledLogits data = OverconfidentLogits(100, 2);
  const auto fit = [&](CalibrationMethod method) {
    FitOutcome outcome;
    registry_->FitUploaded(kTarget, method, {.folds = 0}, data, nullptr, outcome.Done());
    return outcome.Wait().status();
  };
  EXPECT_EQ(fit(CalibrationMethod::kVectorScaling), absl::OkStatus());
  --options_.fit_max_bytes;
  Create();
  EXPECT_THAT(fit(CalibrationMethod::kVectorScaling),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("beside the logits; 3199 are left")));
  EXPECT_EQ(fit(CalibrationMethod::kTemperature), absl::OkStatus());
}

TEST_F(CalibratorRegistryTest, RequestsBeyondItsBoundsAreRefusedWithTheBound) {
  options_.fit_max_rows = 100;
  options_.fit_max_bytes = 100 * 4 * 4 - 1;
  Create();
  const auto code = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(FitStored(101).status(),
              StatusIs(code, HasSubstr("0 (the most) to 100 (fit_max_rows); was 101")));
  EXPECT_THAT(FitStored(-1).status(), StatusIs(code, HasSubstr("was -1")));
  EXPECT_THAT(registry_->ReportStored({}, {.max_rows = 101}).status(),
              StatusIs(code, HasSubstr("fit_max_rows")));
  EXPECT_THAT(FitUploaded(OverconfidentLogits(101, 2)).status(), StatusIs(code, HasSubstr("fit_max_rows")));
  EXPECT_THAT(FitUploaded(OverconfidentLogits(100, 2)).status(), StatusIs(code, HasSubstr("fit_max_bytes")));
  LabelledLogits torn = OverconfidentLogits(50, 2);
  torn.logits.pop_back();
  EXPECT_THAT(FitUploaded(torn).status(), StatusIs(code, HasSubstr("do not belong together")));
  LabelledLogits narrow;
  narrow.columns = 3;
  EXPECT_THAT(FitUploaded(narrow).status(),
              StatusIs(code, HasSubstr("3 logits; model fashion has 4 classes")));
}

TEST_F(CalibratorRegistryTest, StoreThatFailsFailsTheFitOnly) {
  Create();
  store_.FailWith(absl::UnavailableError("disk full"));
  EXPECT_THAT(FitStored().status(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("disk full")));
  store_.FailWith(absl::OkStatus());
  AppendOverconfident(200);
  EXPECT_TRUE(FitStored().ok());
}

TEST_F(CalibratorRegistryTest, ReportOfStoredLabelsIsThatOfTheServedProbabilities) {
  Create();
  AppendOverconfident(2000);
  const CalibratorVersion fitted = *FitStored();
  const Calibrator calibrator = *Calibrator::Create(fitted.spec);
  const LabelledLogits data = OverconfidentLogits(2000, 2.5, 2);
  std::vector<ScoredLabel> labels = ScoredLabels(data, calibrator, fitted.version, 10'000);
  ASSERT_TRUE(store_.Append(absl::MakeSpan(labels), clock_.Now()).ok());

  LogSelection selection;
  selection.calibrator_version = fitted.version;
  const CalibratorRegistry::StoredReport report = *registry_->ReportStored(selection, {});
  EXPECT_EQ(report.position, 4000);
  EXPECT_EQ(report.time, kStart);
  const CalibrationMetrics exact = *Evaluate(calibrator, LogitsView(data.logits, 4), data.labels);
  EXPECT_EQ(report.served.n, 2000);
  EXPECT_EQ(report.served.accuracy, exact.accuracy);
  EXPECT_EQ(report.served.ece, exact.ece) << "confidences are exact";
  EXPECT_TRUE(report.served.ece_low.has_value());
  EXPECT_NEAR(*report.served.nll, *exact.nll, 1e-3) << "logits are those of the ticket, in half precision";
  EXPECT_NEAR(*report.served.brier, *exact.brier, 1e-3);
  const CalibrationMetrics softmax = *Evaluate(Calibrator::None(4), LogitsView(data.logits, 4), data.labels);
  EXPECT_EQ(report.uncalibrated.ece, softmax.ece);
  EXPECT_NEAR(*report.uncalibrated.nll, *softmax.nll, 1e-2);
  EXPECT_LT(report.served.ece, report.uncalibrated.ece);
}

TEST_F(CalibratorRegistryTest, ReportOfNothingIsEmpty) {
  Create();
  const CalibratorRegistry::StoredReport report = *registry_->ReportStored({}, {});
  EXPECT_EQ(report.position, 0);
  EXPECT_EQ(report.served.n, 0);
  EXPECT_FALSE(report.served.nll.has_value());
}

}  // namespace
}  // namespace calserve
