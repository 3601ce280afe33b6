#include "server/recalibration/refit_controller.h"

#include <atomic>
#include <chrono>
#include <future>
#include <set>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "calibration_io/calibrator_json.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/feedback/forwarding_store.h"
#include "tests/unit/feedback/memory_store.h"
#include "tests/unit/recalibration/recalibration_testing.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;
using Kind = RefitAttempt::Kind;
using Outcome = RefitAttempt::Outcome;

constexpr absl::Duration kPatience = absl::Seconds(30);

// Fails what ends an attempt, as a server that is killed while it judges leaves the store; and holds one that
// is about to judge.
class LosingStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;

  absl::Status SaveRefitAttempt(const RefitAttempt& attempt) override {
    if (killed_ && attempt.outcome != Outcome::kJudging) return absl::UnavailableError("killed");
    if (held_ && attempt.outcome == Outcome::kJudging) {
      judging_.set_value();
      let_go_.get_future().wait();
    }
    return ForwardingStore::SaveRefitAttempt(attempt);
  }
  absl::Status ActivateCalibrator(const std::string& model, int64_t model_version, int64_t version,
                                  int64_t expected_active, absl::Time now) override {
    if (killed_) return absl::UnavailableError("killed");
    return ForwardingStore::ActivateCalibrator(model, model_version, version, expected_active, now);
  }

  std::atomic<bool> killed_{false}, held_{false};
  std::promise<void> judging_, let_go_;  // of the one that is held
};

class RefitControllerTest : public ::testing::Test {
 protected:
  RefitControllerTest() {
    policy_.on = RefitPolicy::On::kAlarm;
    policy_.least_labels = 1000;
  }
  ~RefitControllerTest() override { Stop(); }

  // A strict level: labels that are only a little off do not meet it.
  void UnprovableEvery1000Labels() {
    policy_.on = RefitPolicy::On::kEvery;
    policy_.every = 1000;
    policy_.alpha = 1e-9;
  }
  void Start() {
    settings_.Set(kTarget.model, policy_);
    registry_ = *CalibratorRegistry::Create({}, store_, clock_, [](const CalibratorVersion&) {});
    ASSERT_TRUE(registry_->AddModelVersion(kTarget, "").ok());
    monitor_ =
        *CalibrationMonitor::Create({.windows = {"last_1000"}}, store_, clock_,
                                    [this](const std::string& model, int64_t model_version, int64_t version) {
                                      return registry_->Find(model, model_version, version);
                                    });
    controller_ = RefitController::Create({.pause = absl::Milliseconds(1)}, settings_, *registry_, *monitor_,
                                          store_, clock_,
                                          {[] { return std::vector<CalibrationTarget>{kTarget}; },
                                           [this](const MonitorKey&) { return selection_.load(); }});
  }
  void Stop() {
    controller_.reset();
    monitor_.reset();
    registry_.reset();
  }
  void Restart() {
    Stop();
    Start();
  }

  // Labels drawn from softmax(z / temperature), served with what is active.
  void Label(int rows, double temperature) {
    const CalibratorVersion active = registry_->Active("fashion", 3);
    std::vector<ScoredLabel> labels = ScoredLabels(
        OverconfidentLogits(rows, temperature, static_cast<unsigned>(next_)),
        *Calibrator::Create(
            active.spec.classes == kTarget.classes ? active.spec : Calibrator::None(kTarget.classes).spec()),
        active.version, next_);
    next_ += rows;
    clock_.Advance(absl::Seconds(1));
    ASSERT_TRUE(store_.Append(absl::MakeSpan(labels), clock_.Now()).ok());
    monitor_->Notify();
    controller_->Notify();
  }
  RefitStatus Status() {
    const absl::StatusOr<RefitStatus> status = controller_->Status(kTarget);
    EXPECT_TRUE(status.ok()) << status.status();
    return status.ok() ? *status : RefitStatus();
  }
  template <typename Condition>
  RefitStatus WaitFor(Condition condition) {
    const absl::Time end = absl::Now() + kPatience;
    RefitStatus status = Status();
    while (!condition(status) && absl::Now() < end) {
      absl::SleepFor(absl::Milliseconds(2));
      status = Status();
    }
    EXPECT_TRUE(condition(status)) << status.reason << "; attempts " << status.attempts.size();
    return status;
  }
  RefitStatus WaitForAttempts(size_t ended) {
    return WaitFor([&](const RefitStatus& status) {
      return status.attempts.size() >= ended && status.attempts.front().outcome != Outcome::kJudging &&
             status.state != RefitState::kRunning;
    });
  }
  // Until nothing runs and labels are missing, or there is nothing to do.
  RefitStatus WaitUntilQuiet() {
    return WaitFor([&](const RefitStatus& status) {
      return status.state != RefitState::kRunning &&
             (status.state != RefitState::kGathering || status.labels_needed > 0);
    });
  }

  ManualClock clock_{kStart};
  MemoryStore memory_;
  LosingStore store_{memory_};
  RefitSettings settings_;
  RefitPolicy policy_;
  std::atomic<LabelSelection> selection_{LabelSelection::kNoDifference};
  std::unique_ptr<CalibratorRegistry> registry_;
  std::unique_ptr<CalibrationMonitor> monitor_;
  std::unique_ptr<RefitController> controller_;
  uint64_t next_ = 1;
};

TEST_F(RefitControllerTest, AnAlarmLeadsToAnActivationOnceThereAreLabelsEnough) {
  Start();
  Label(500, 2.5);
  WaitFor([](const RefitStatus& status) {  // Its alarm is raised.
    return status.state == RefitState::kGathering && status.labels_needed > 0;
  });
  Label(2000, 2.5);
  const RefitStatus status = WaitForAttempts(1);
  const RefitAttempt& attempt = status.attempts.front();
  EXPECT_EQ(attempt.outcome, Outcome::kActivated) << attempt.reason;
  EXPECT_EQ(attempt.attempt, 1);
  EXPECT_EQ(attempt.judged_position, 2500);
  EXPECT_EQ(status.active, 1);
  EXPECT_NEAR(registry_->Active("fashion", 3).spec.parameters[0].values[0], 2.5, 0.3);
  EXPECT_GT(registry_->Active("fashion", 3).fit_position, 2400);
  EXPECT_EQ(controller_->counters().at({"fashion", 3}).activated, 1);
}

TEST_F(RefitControllerTest, TheSuccessorHasPredictionSetsOfTheSameAlphas) {
  policy_.cooldown = absl::ZeroDuration();
  Start();
  CalibratorDocument shipped{Calibrator::None(kTarget.classes).spec(), std::nullopt};
  shipped.spec.set_thresholds = {{ConformalScore::kThr, 0.2, 0.7, 100},
                                 {ConformalScore::kThr, 0.03, 0.9, 100}};
  ASSERT_TRUE(registry_->AddModelVersion(kTarget, CalibratorToJson(shipped)).ok());
  ASSERT_EQ(registry_->Active("fashion", 3).version, 1);
  Label(2500, 2.5);
  ASSERT_EQ(WaitForAttempts(1).active, 2);
  std::set<double> alphas;
  for (const SetThreshold& threshold : registry_->Active("fashion", 3).spec.set_thresholds) {
    alphas.insert(threshold.alpha);
  }
  EXPECT_THAT(alphas, testing::ElementsAre(0.03, 0.2));
}

TEST_F(RefitControllerTest, ARefitThatDoesNotWinStaysFittedWithItsReason) {
  UnprovableEvery1000Labels();
  Start();
  Label(4000, 1.25);
  const RefitStatus status = WaitForAttempts(1);
  EXPECT_EQ(status.attempts.front().outcome, Outcome::kKept) << status.attempts.front().reason;
  EXPECT_EQ(status.active, 0);
  const CalibratorVersion kept = registry_->List("fashion")->front();
  EXPECT_EQ(kept.state, CalibratorState::kFitted);
  EXPECT_THAT(kept.note, HasSubstr("not proven better"));
  EXPECT_EQ(controller_->counters().at({"fashion", 3}).kept, 1);
}

TEST_F(RefitControllerTest, LabelsThatJudgedNeverJudgeAgainForTheSameIncumbent) {
  UnprovableEvery1000Labels();
  Start();
  Label(3000, 1.25);
  WaitForAttempts(1);
  Restart();
  RefitStatus status = WaitUntilQuiet();
  EXPECT_EQ(status.attempts.size(), 1u)
      << "the same labels make no second attempt, not after a restart either";
  EXPECT_EQ(status.next_attempt, 2);
  EXPECT_DOUBLE_EQ(status.next_level, AttemptLevel(1e-9, 2));
  Label(2600, 1.25);
  status = WaitForAttempts(2);
  EXPECT_EQ(status.attempts[0].attempt, 2);
  EXPECT_EQ(status.attempts[0].judged_position, 5600);
}

TEST_F(RefitControllerTest, SelectiveLabelsSwitchItOff) {
  selection_ = LabelSelection::kSelectiveLabels;
  Start();
  Label(4000, 2.5);
  RefitStatus status = WaitUntilQuiet();
  EXPECT_EQ(status.state, RefitState::kSelectiveLabels);
  EXPECT_TRUE(status.attempts.empty());
  selection_ = LabelSelection::kNoDifference;
  controller_->Notify();
  EXPECT_EQ(WaitForAttempts(1).active, 1);
}

TEST_F(RefitControllerTest, ACooldownHoldsTheNextRefitBack) {
  policy_.cooldown = absl::Hours(1);
  policy_.rollback = false;
  Start();
  Label(3000, 2.5);
  EXPECT_EQ(WaitForAttempts(1).active, 1);
  Label(6000, 8);  // The world changes again.
  EXPECT_EQ(WaitUntilQuiet().state, RefitState::kCoolingDown);
  EXPECT_EQ(Status().attempts.size(), 1u);
  clock_.Advance(absl::Hours(1));
  controller_->Notify();
  EXPECT_EQ(WaitForAttempts(2).active, 2);
}

TEST_F(RefitControllerTest, AMistakeIsTakenBackOnceTheOneBeforeProvesBetterAndNotWithoutProof) {
  policy_.cooldown = absl::Hours(1000);
  Start();
  Label(3000, 2.5);
  EXPECT_EQ(WaitForAttempts(1).active, 1);
  Label(600, 2.5);  // The new one goes on being right: the test of the one before is lost.
  RefitStatus status = WaitForAttempts(2);
  EXPECT_EQ(status.attempts.front().kind, Kind::kRollback);
  EXPECT_EQ(status.attempts.front().outcome, Outcome::kKept);
  EXPECT_EQ(status.active, 1);
  Label(2500, 1);  // The world is as it was before.
  status = WaitForAttempts(3);
  EXPECT_EQ(status.attempts.front().kind, Kind::kRollback);
  EXPECT_EQ(status.attempts.front().outcome, Outcome::kActivated) << status.attempts.front().reason;
  EXPECT_EQ(status.active, 0);
  EXPECT_EQ(controller_->counters().at({"fashion", 3}).rolled_back, 1);
  EXPECT_EQ(controller_->counters().at({"fashion", 3}).last, "rolled_back");
}

TEST_F(RefitControllerTest, WhatAPersonActivatesIsNotTakenBack) {
  Start();
  Label(3000, 2.5);
  EXPECT_EQ(WaitForAttempts(1).active, 1);
  ASSERT_TRUE(registry_->Activate("fashion", 3, 0, 1).ok());
  Label(3000, 1);
  const RefitStatus status = WaitUntilQuiet();
  EXPECT_EQ(status.state, RefitState::kCoolingDown);
  EXPECT_EQ(status.attempts.size(), 1u);
}

TEST_F(RefitControllerTest, AKillWhileItJudgesSpendsTheLabelsAndActivatesNothing) {
  Start();
  store_.killed_ = true;
  Label(3000, 2.5);
  const absl::Time end = absl::Now() + kPatience;
  while (controller_->counters()[{"fashion", 3}].failed == 0 && absl::Now() < end) {
    absl::SleepFor(absl::Milliseconds(2));
  }
  ASSERT_EQ(controller_->counters().at({"fashion", 3}).failed, 1);
  EXPECT_EQ(controller_->counters().at({"fashion", 3}).last, "failed");
  Stop();
  store_.killed_ = false;
  EXPECT_EQ(store_.ListRefitAttempts("fashion", 3, 0, 10)->front().outcome, Outcome::kJudging);
  Start();
  const RefitStatus status = WaitForAttempts(1);
  EXPECT_EQ(status.attempts.front().outcome, Outcome::kInterrupted);
  EXPECT_EQ(status.active, 0);
  EXPECT_EQ(status.next_attempt, 2);
  Label(4000, 2.5);
  EXPECT_EQ(WaitForAttempts(2).active, 2);
}

TEST_F(RefitControllerTest, EverySoManyLabelsNeedsNoAlarm) {
  policy_.on = RefitPolicy::On::kEvery;
  policy_.every = 2000;
  Start();
  Label(1500, 2.5);
  EXPECT_EQ(WaitUntilQuiet().state, RefitState::kGathering);
  EXPECT_TRUE(Status().attempts.empty());
  Label(1000, 2.5);
  EXPECT_EQ(WaitForAttempts(1).active, 1);
}

TEST_F(RefitControllerTest, AFitThatTheDataCannotSupportSaysSoAndWaitsForMore) {
  Start();
  std::vector<ScoredLabel> labels =
      ScoredLabels(OverconfidentLogits(3000, 2.5), Calibrator::None(kTarget.classes), 0, next_);
  for (ScoredLabel& label : labels) label.label = 2;
  ASSERT_TRUE(store_.Append(absl::MakeSpan(labels), clock_.Now()).ok());
  monitor_->Notify();
  controller_->Notify();
  const RefitStatus status =
      WaitFor([](const RefitStatus& now) { return absl::StrContains(now.reason, "the last fit failed"); });
  EXPECT_TRUE(status.attempts.empty()) << "no label has judged";
  EXPECT_EQ(controller_->counters().at({"fashion", 3}).failed, 1);

  policy_.on = RefitPolicy::On::kNever;
  settings_.Set(kTarget.model, policy_);
  controller_->Notify();
  const absl::Time end = absl::Now() + kPatience;
  while (!controller_->counters().at({"fashion", 3}).last.empty() && absl::Now() < end) {
    absl::SleepFor(absl::Milliseconds(2));
  }
  EXPECT_EQ(controller_->counters().at({"fashion", 3}).last, "") << "nothing is left to alert on";
  EXPECT_EQ(controller_->counters().at({"fashion", 3}).failed, 1);
}

TEST_F(RefitControllerTest, StoppingCancelsTheAttemptUnderWayAndBeginsNoOther) {
  Start();
  store_.held_ = true;
  Label(3000, 2.5);
  ASSERT_EQ(store_.judging_.get_future().wait_for(absl::ToChronoSeconds(kPatience)),
            std::future_status::ready);
  EXPECT_EQ(Status().state, RefitState::kRunning);
  controller_->StopAttempts();
  EXPECT_EQ(Status().state, RefitState::kRunning) << "it is not waited for";
  store_.let_go_.set_value();
  RefitStatus status = WaitForAttempts(1);
  EXPECT_EQ(status.attempts.front().outcome, Outcome::kInterrupted);
  Label(4000, 2.5);
  absl::SleepFor(absl::Milliseconds(50));  // Time for many looks.
  std::promise<void> fit_thread_is_idle;
  ASSERT_TRUE(registry_->RunOnFitThread([&] { fit_thread_is_idle.set_value(); }));
  fit_thread_is_idle.get_future().wait();
  status = Status();
  EXPECT_EQ(status.attempts.size(), 1u);
  EXPECT_EQ(status.active, 0);
  EXPECT_EQ(controller_->counters().at({"fashion", 3}).failed, 0);
}

TEST_F(RefitControllerTest, DestructionDoesNotWaitForLabelsThatNeverCome) {
  Start();
  Label(500, 2.5);
  Stop();
}

}  // namespace
}  // namespace calserve
