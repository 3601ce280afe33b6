#include "server/rpc/refit_convert.h"

#include "server/rpc/calibration_convert.h"

namespace calserve {
namespace {

v1::RefitState ToProto(RefitState state) {
  switch (state) {
    case RefitState::kOff:
      return v1::REFIT_STATE_OFF;
    case RefitState::kWaiting:
      return v1::REFIT_STATE_WAITING;
    case RefitState::kCoolingDown:
      return v1::REFIT_STATE_COOLING_DOWN;
    case RefitState::kSelectiveLabels:
      return v1::REFIT_STATE_SELECTIVE_LABELS;
    case RefitState::kGathering:
      return v1::REFIT_STATE_GATHERING;
    case RefitState::kRunning:
      return v1::REFIT_STATE_RUNNING;
  }
  return v1::REFIT_STATE_UNSPECIFIED;
}

v1::RefitKind ToProto(RefitAttempt::Kind kind) {
  return kind == RefitAttempt::Kind::kRollback ? v1::REFIT_KIND_ROLLBACK : v1::REFIT_KIND_REFIT;
}

v1::RefitOutcome ToProto(RefitAttempt::Outcome outcome) {
  switch (outcome) {
    case RefitAttempt::Outcome::kJudging:
      return v1::REFIT_OUTCOME_JUDGING;
    case RefitAttempt::Outcome::kActivated:
      return v1::REFIT_OUTCOME_ACTIVATED;
    case RefitAttempt::Outcome::kKept:
      return v1::REFIT_OUTCOME_KEPT;
    case RefitAttempt::Outcome::kSuperseded:
      return v1::REFIT_OUTCOME_SUPERSEDED;
    case RefitAttempt::Outcome::kInterrupted:
      return v1::REFIT_OUTCOME_INTERRUPTED;
  }
  return v1::REFIT_OUTCOME_UNSPECIFIED;
}

v1::RefitAttempt ToProto(const RefitAttempt& attempt) {
  v1::RefitAttempt out;
  out.set_kind(ToProto(attempt.kind));
  out.set_incumbent_version(attempt.incumbent);
  out.set_candidate_version(attempt.candidate);
  out.set_attempt(attempt.attempt);
  out.set_outcome(ToProto(attempt.outcome));
  out.set_reason(attempt.reason);
  *out.mutable_time() = calserve::ToProto(attempt.time);
  out.set_judged_position(attempt.judged_position);
  return out;
}

}  // namespace

v1::PairedComparison ToProto(const PairedResult& result, int64_t incumbent, int64_t candidate) {
  const PairedComparison& paired = result.paired;
  v1::PairedComparison out;
  out.set_incumbent_version(incumbent);
  out.set_candidate_version(candidate);
  out.set_n(paired.n);
  out.set_nll_difference(paired.nll_difference);
  out.set_standard_error(paired.standard_error);
  out.set_incumbent_ece(paired.incumbent_ece);
  out.set_candidate_ece(paired.candidate_ece);
  out.set_incumbent_accuracy(paired.incumbent_accuracy);
  out.set_candidate_accuracy(paired.candidate_accuracy);
  out.set_log_e_value(paired.log_e_value);
  out.set_first_position(result.first_position);
  out.set_last_position(result.last_position);
  return out;
}

v1::GetRefitStatusResponse ToProto(const CalibrationTarget& target, const RefitStatus& status) {
  v1::GetRefitStatusResponse out;
  out.set_model(target.model);
  out.set_model_version(target.model_version);
  out.set_trigger(TriggerName(status.policy.on));
  out.set_calibrator_version(status.active);
  out.set_state(ToProto(status.state));
  if (status.state == RefitState::kGathering) out.set_kind(ToProto(status.kind));
  out.set_reason(status.reason);
  out.set_labels_needed(status.labels_needed);
  if (status.not_before.has_value()) *out.mutable_not_before() = calserve::ToProto(*status.not_before);
  out.set_next_attempt(status.next_attempt);
  out.set_next_level(status.next_level);
  for (const RefitAttempt& attempt : status.attempts) *out.add_attempts() = ToProto(attempt);
  return out;
}

}  // namespace calserve
