#include "server/recalibration/refit_policy.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace calserve {
namespace {

// Tests of whether an automatic activation was a mistake: after as many labels as judge a refit, and after
// four times as many more.
constexpr int kRollbackTests = 2;
constexpr int kMostDoublings = 6;

int64_t LeastJudge(const RefitPolicy& policy, int labels) {
  return std::max<int64_t>(1, std::llround(std::ceil(policy.holdout * labels)));
}

bool RollbackMayBeDue(const RefitPolicy& policy, const RefitSituation& now) {
  return policy.rollback && now.activated_by_refit && now.rollback_tests < kRollbackTests;
}

RefitStep RollbackStep(const RefitPolicy& policy, const RefitSituation& now, RefitStep step) {
  step.state = RefitState::kGathering;
  step.kind = RefitAttempt::Kind::kRollback;
  step.judge_after = std::max(step.judge_after, now.activation->position);
  step.least_judge = LeastJudge(policy, policy.least_labels) << (2 * now.rollback_tests);
  return step;
}

RefitStep Waiting(RefitState state, absl::Time until, RefitStep step) {
  step.state = state;
  step.not_before = until;
  return step;
}

}  // namespace

std::string TriggerName(RefitPolicy::On on) {
  switch (on) {
    case RefitPolicy::On::kAlarm:
      return "alarm";
    case RefitPolicy::On::kEvery:
      return "every";
    case RefitPolicy::On::kSchedule:
      return "schedule";
    case RefitPolicy::On::kNever:
      return "never";
  }
  return "never";
}

RefitStep NextStep(const RefitPolicy& policy, const RefitSituation& now) {
  RefitStep step;
  if (policy.on == RefitPolicy::On::kNever) return step;
  const int64_t attempts = now.last.has_value() ? now.last->attempt : 0;
  step.attempt = attempts + 1;
  step.judge_after =
      std::max(now.incumbent_fit_position, now.last.has_value() ? now.last->judged_position : 0);
  if (now.selection != LabelSelection::kNoDifference) {
    return Waiting(RefitState::kSelectiveLabels, absl::InfiniteFuture(), step);
  }
  // A rollback waits for no alarm and no cooldown; a refit that is due goes first.
  const bool may_roll_back = RollbackMayBeDue(policy, now);
  const absl::Time cool =
      now.activation.has_value() ? now.activation->time + policy.cooldown : absl::InfinitePast();
  if (now.now < cool) {
    return may_roll_back ? RollbackStep(policy, now, step) : Waiting(RefitState::kCoolingDown, cool, step);
  }
  int labels = policy.least_labels;
  step.fit_after = now.incumbent_fit_position;
  if (policy.on == RefitPolicy::On::kAlarm) {
    if (!now.alarm.has_value()) {
      return may_roll_back ? RollbackStep(policy, now, step)
                           : Waiting(RefitState::kWaiting, absl::InfiniteFuture(), step);
    }
    step.fit_after = now.alarm->change_point.position - 1;
    step.judge_after = std::max(step.judge_after, now.alarm->since.position);
  } else if (policy.on == RefitPolicy::On::kEvery) {
    labels = std::max(labels, policy.every);
    if (now.activation.has_value()) step.judge_after = std::max(step.judge_after, now.activation->position);
  } else {
    absl::Time due = now.activation.has_value() ? now.activation->time : absl::InfinitePast();
    if (now.last.has_value()) due = std::max(due, now.last->time);
    due += policy.schedule;
    if (now.now < due) {
      return may_roll_back ? RollbackStep(policy, now, step) : Waiting(RefitState::kWaiting, due, step);
    }
  }
  step.state = RefitState::kGathering;
  step.least_judge = LeastJudge(policy, labels);
  step.least_fit = std::max<int64_t>(1, labels - step.least_judge);
  if (policy.on == RefitPolicy::On::kAlarm) {
    step.least_judge <<= std::min<int64_t>(attempts, kMostDoublings);
  }
  return step;
}

double AttemptLevel(double alpha, int64_t attempt) {
  const double k = static_cast<double>(attempt);
  return alpha * 6 / (std::numbers::pi * std::numbers::pi * k * k);
}

RefitVerdict Judge(const RefitPolicy& policy, int64_t attempt, const PairedComparison& paired) {
  const double needed = -std::log(AttemptLevel(policy.alpha, attempt));
  RefitVerdict verdict;
  const std::string figures = absl::StrFormat(
      "on %d labels its negative log-likelihood differs by %+.4f (standard error %.4f), ECE %.4f against "
      "%.4f; log e-value %.2f, needed %.2f",
      paired.n, paired.nll_difference, paired.standard_error, paired.candidate_ece, paired.incumbent_ece,
      paired.log_e_value, needed);
  if (!(paired.log_e_value >= needed)) {
    verdict.reason = absl::StrCat("not proven better: ", figures);
    return verdict;
  }
  if (paired.candidate_accuracy < paired.incumbent_accuracy - policy.guard) {
    verdict.reason =
        absl::StrFormat("it loses more accuracy than guard, %.4f, allows: %.4f against %.4f; %s",
                        policy.guard, paired.candidate_accuracy, paired.incumbent_accuracy, figures);
    return verdict;
  }
  verdict.won = true;
  verdict.reason = absl::StrCat("proven better: ", figures);
  return verdict;
}

}  // namespace calserve
