#include "server/recalibration/refit_observer.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"

namespace calserve {

using Kind = RefitAttempt::Kind;
using Outcome = RefitAttempt::Outcome;

absl::StatusOr<RefitLook> RefitObserver::Look(const CalibrationTarget& target, const RefitPolicy& policy,
                                              absl::FunctionRef<bool()> under_way) const {
  RefitLook look;
  look.target = target;
  look.policy = policy;
  const CalibratorVersion active = registry_.Active(target.model, target.model_version);
  look.incumbent = active.version;
  RefitSituation now;
  now.now = clock_.Now();
  ASSIGN_OR_RETURN(const LogHead head, store_.Head());
  look.log_end = now.log_end = head.next_position - 1;
  now.incumbent_fit_position = active.fit_position;
  ASSIGN_OR_RETURN(now.activation, store_.LastActivation(target.model, target.model_version));
  ASSIGN_OR_RETURN(now.last, LastAttempt(target, look.incumbent, now.activation, under_way));
  if (now.activation.has_value() && now.activation->version == look.incumbent) {
    look.previous = now.activation->previous;
    ASSIGN_OR_RETURN(const std::optional<RefitAttempt> by,
                     LastAttempt(target, look.previous, now.activation, under_way));
    now.activated_by_refit = by.has_value() && by->kind == Kind::kRefit && by->candidate == look.incumbent &&
                             by->outcome == Outcome::kActivated;
    ASSIGN_OR_RETURN(
        const std::vector<RefitAttempt> attempts,
        store_.ListRefitAttempts(target.model, target.model_version, look.incumbent, kListedAttempts));
    for (const RefitAttempt& each : attempts) {
      const bool since = each.judged_position > now.activation->position;
      now.rollback_tests += each.kind == Kind::kRollback && since ? 1 : 0;
    }
  }
  const MonitorKey key{target.model, target.model_version, look.incumbent};
  now.alarm = monitor_.Alarm(key).raised;
  now.selection = selection_(key);
  look.step = NextStep(look.policy, now);
  return look;
}

absl::StatusOr<std::optional<RefitAttempt>> RefitObserver::LastAttempt(
    const CalibrationTarget& target, int64_t incumbent, const std::optional<CalibratorActivation>& activation,
    absl::FunctionRef<bool()> under_way) const {
  const auto newest = [&]() -> absl::StatusOr<std::optional<RefitAttempt>> {
    ASSIGN_OR_RETURN(const std::vector<RefitAttempt> attempts,
                     store_.ListRefitAttempts(target.model, target.model_version, incumbent, 1));
    if (attempts.empty()) return std::optional<RefitAttempt>();
    return std::optional<RefitAttempt>(attempts.front());
  };
  ASSIGN_OR_RETURN(const std::optional<RefitAttempt> found, newest());
  if (!found.has_value() || found->outcome != Outcome::kJudging || under_way()) return found;
  // It may have ended between the two.
  ASSIGN_OR_RETURN(const std::optional<RefitAttempt> again, newest());
  if (again != found) return again;
  RefitAttempt last = *found;
  // The server ended while it was judged: either it had been activated, or it never will be.
  const bool activated = activation.has_value() && activation->version == last.candidate &&
                         activation->previous == last.incumbent && activation->time >= last.time;
  last.outcome = activated ? Outcome::kActivated : Outcome::kInterrupted;
  last.reason = activated ? "proven better; the server ended before it could note the figures"
                          : "the server ended while it was judged: its labels do not judge again";
  RETURN_IF_ERROR(store_.SaveRefitAttempt(last));
  return std::optional<RefitAttempt>(last);
}

std::string Explain(const RefitLook& look, int64_t missing, absl::string_view failure) {
  const std::string after = failure.empty() ? "" : absl::StrCat("; the last fit failed: ", failure);
  switch (look.step.state) {
    case RefitState::kOff:
      return "refit.on of model.yaml is never";
    case RefitState::kWaiting:
      return look.policy.on == RefitPolicy::On::kAlarm ? "no alarm is raised" : "its time has not come";
    case RefitState::kCoolingDown:
      return "another calibrator became active less than a cooldown ago";
    case RefitState::kSelectiveLabels:
      return "the labels are not like all predictions (SELECTIVE_LABELS), or too few came since the start to "
             "tell";
    case RefitState::kGathering:
      return absl::StrCat(look.step.kind == Kind::kRollback ? "a rollback" : "a refit",
                          " waits for at least ", missing, " labels more", after);
    case RefitState::kRunning:
      return "an attempt is under way";
  }
  return "";
}

}  // namespace calserve
