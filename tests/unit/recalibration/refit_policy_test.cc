#include "server/recalibration/refit_policy.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;
using Kind = RefitAttempt::Kind;

const absl::Time kNow = absl::FromUnixSeconds(1'790'000'000);

RefitPolicy On(RefitPolicy::On on) {
  RefitPolicy policy;
  policy.on = on;
  return policy;
}

// An alarm raised at label 500, of something that began at label 400.
RefitSituation Alarmed() {
  RefitSituation now;
  now.now = kNow;
  now.log_end = 600;
  now.alarm = RaisedAlarm{GapDirection::kOverconfident, {500, 0}, {400, 0}};
  return now;
}

RefitAttempt Spent(int64_t attempt, int64_t judged_position) {
  RefitAttempt spent;
  spent.attempt = attempt;
  spent.judged_position = judged_position;
  spent.time = kNow - absl::Hours(1);
  return spent;
}

TEST(RefitPolicyTest, TheDefaultIsNever) {
  EXPECT_EQ(NextStep(RefitPolicy(), Alarmed()).state, RefitState::kOff);
}

TEST(RefitPolicyTest, WithoutAnAlarmThereIsNothingToDo) {
  RefitSituation now = Alarmed();
  now.alarm.reset();
  EXPECT_EQ(NextStep(On(RefitPolicy::On::kAlarm), now).state, RefitState::kWaiting);
}

TEST(RefitPolicyTest, AnAlarmsFitStartsAtTheChangePointAndItsJudgesComeAfterTheAlarm) {
  const RefitStep step = NextStep(On(RefitPolicy::On::kAlarm), Alarmed());
  EXPECT_EQ(step.state, RefitState::kGathering);
  EXPECT_EQ(step.attempt, 1);
  EXPECT_EQ(step.fit_after, 399);
  EXPECT_EQ(step.judge_after, 500);
  EXPECT_EQ(step.least_fit, 500);
  EXPECT_EQ(step.least_judge, 500);
}

TEST(RefitPolicyTest, NoLabelJudgesTwiceForAnIncumbentAndEachAttemptWaitsForMore) {
  RefitSituation now = Alarmed();
  now.last = Spent(2, 3000);
  const RefitStep step = NextStep(On(RefitPolicy::On::kAlarm), now);
  EXPECT_EQ(step.attempt, 3);
  EXPECT_EQ(step.judge_after, 3000);
  EXPECT_EQ(step.least_judge, 2000);
}

TEST(RefitPolicyTest, NoLabelThatTheIncumbentWasFittedOnJudges) {
  RefitSituation now = Alarmed();
  now.incumbent_fit_position = 550;
  EXPECT_EQ(NextStep(On(RefitPolicy::On::kAlarm), now).judge_after, 550);
}

TEST(RefitPolicyTest, SelectiveLabelsSwitchEverythingOffAndSoDoTooFewToTell) {
  RefitSituation now = Alarmed();
  for (const LabelSelection selection : {LabelSelection::kSelectiveLabels, LabelSelection::kTooFewLabels}) {
    now.selection = selection;
    EXPECT_EQ(NextStep(On(RefitPolicy::On::kAlarm), now).state, RefitState::kSelectiveLabels);
  }
}

TEST(RefitPolicyTest, ACooldownFollowsEveryActivation) {
  RefitSituation now = Alarmed();
  now.activation = CalibratorActivation{1, 0, 300, kNow - absl::Minutes(59)};
  const RefitStep step = NextStep(On(RefitPolicy::On::kAlarm), now);
  EXPECT_EQ(step.state, RefitState::kCoolingDown);
  EXPECT_EQ(step.not_before, kNow + absl::Minutes(1));
  now.now += absl::Minutes(1);
  EXPECT_EQ(NextStep(On(RefitPolicy::On::kAlarm), now).state, RefitState::kGathering);
}

TEST(RefitPolicyTest, AfterAnAutomaticActivationTheOneBeforeIsTriedAgainOnLabelsSince) {
  RefitSituation now = Alarmed();
  now.alarm.reset();
  now.activation = CalibratorActivation{2, 1, 700, kNow};
  EXPECT_EQ(NextStep(On(RefitPolicy::On::kAlarm), now).state, RefitState::kCoolingDown) << "by a person";
  now.activated_by_refit = true;
  RefitStep step = NextStep(On(RefitPolicy::On::kAlarm), now);
  EXPECT_EQ(step.state, RefitState::kGathering);
  EXPECT_EQ(step.kind, Kind::kRollback);
  EXPECT_EQ(step.judge_after, 700);
  EXPECT_EQ(step.least_judge, 500);
  now.rollback_tests = 1;
  now.last = Spent(1, 1300);
  step = NextStep(On(RefitPolicy::On::kAlarm), now);
  EXPECT_EQ(step.judge_after, 1300);
  EXPECT_EQ(step.least_judge, 2000);
  now.rollback_tests = 2;
  EXPECT_EQ(NextStep(On(RefitPolicy::On::kAlarm), now).state, RefitState::kCoolingDown);
}

TEST(RefitPolicyTest, EverySoManyLabelsCountsFromTheLastAttempt) {
  RefitSituation now = Alarmed();
  now.alarm.reset();
  now.last = Spent(1, 550);
  const RefitStep step = NextStep(On(RefitPolicy::On::kEvery), now);
  EXPECT_EQ(step.state, RefitState::kGathering);
  EXPECT_EQ(step.judge_after, 550);
  EXPECT_EQ(step.least_judge, 5000);
}

TEST(RefitPolicyTest, AScheduleCountsFromTheLastAttemptOrActivation) {
  RefitSituation now = Alarmed();
  now.alarm.reset();
  now.last = Spent(1, 550);
  RefitStep step = NextStep(On(RefitPolicy::On::kSchedule), now);
  EXPECT_EQ(step.state, RefitState::kWaiting);
  EXPECT_EQ(step.not_before, kNow + absl::Hours(23));
  now.now += absl::Hours(23);
  EXPECT_EQ(NextStep(On(RefitPolicy::On::kSchedule), now).state, RefitState::kGathering);
}

TEST(RefitPolicyTest, TheLevelsOfAllAttemptsSumToAlpha) {
  double sum = 0;
  for (int64_t k = 1; k < 1'000'000; ++k) sum += AttemptLevel(0.01, k);
  EXPECT_NEAR(sum, 0.01, 1e-7);
}

TEST(RefitPolicyTest, ItTakesTheEValueOfTheAttemptsLevelAndTheGuard) {
  PairedComparison paired;
  paired.n = 1000;
  paired.incumbent_accuracy = 0.9;
  paired.candidate_accuracy = 0.899;
  paired.log_e_value = std::log(170);  // 1 / level is 164.5, then 658
  const RefitPolicy policy = On(RefitPolicy::On::kAlarm);
  EXPECT_TRUE(Judge(policy, 1, paired).won);
  EXPECT_FALSE(Judge(policy, 2, paired).won);
  EXPECT_THAT(Judge(policy, 2, paired).reason, HasSubstr("not proven better"));
  paired.candidate_accuracy = 0.89;
  EXPECT_FALSE(Judge(policy, 1, paired).won);
  EXPECT_THAT(Judge(policy, 1, paired).reason, HasSubstr("guard"));
}

}  // namespace
}  // namespace calserve
