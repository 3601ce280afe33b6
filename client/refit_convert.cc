#include "client/refit_convert.h"

namespace calserve::client {
namespace {

absl::Time ToTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

RefitStatus::State StateFromProto(v1::RefitState state) {
  switch (state) {
    case v1::REFIT_STATE_OFF:
      return RefitStatus::State::kOff;
    case v1::REFIT_STATE_WAITING:
      return RefitStatus::State::kWaiting;
    case v1::REFIT_STATE_COOLING_DOWN:
      return RefitStatus::State::kCoolingDown;
    case v1::REFIT_STATE_SELECTIVE_LABELS:
      return RefitStatus::State::kSelectiveLabels;
    case v1::REFIT_STATE_GATHERING:
      return RefitStatus::State::kGathering;
    case v1::REFIT_STATE_RUNNING:
      return RefitStatus::State::kRunning;
    default:
      return RefitStatus::State::kUnknown;
  }
}

RefitStatus::Kind KindFromProto(v1::RefitKind kind) {
  if (kind == v1::REFIT_KIND_REFIT) return RefitStatus::Kind::kRefit;
  return kind == v1::REFIT_KIND_ROLLBACK ? RefitStatus::Kind::kRollback : RefitStatus::Kind::kUnknown;
}

RefitStatus::Outcome OutcomeFromProto(v1::RefitOutcome outcome) {
  switch (outcome) {
    case v1::REFIT_OUTCOME_JUDGING:
      return RefitStatus::Outcome::kJudging;
    case v1::REFIT_OUTCOME_ACTIVATED:
      return RefitStatus::Outcome::kActivated;
    case v1::REFIT_OUTCOME_KEPT:
      return RefitStatus::Outcome::kKept;
    case v1::REFIT_OUTCOME_SUPERSEDED:
      return RefitStatus::Outcome::kSuperseded;
    case v1::REFIT_OUTCOME_INTERRUPTED:
      return RefitStatus::Outcome::kInterrupted;
    default:
      return RefitStatus::Outcome::kUnknown;
  }
}

}  // namespace

RefitStatus FromProto(const v1::GetRefitStatusResponse& status) {
  RefitStatus out;
  out.model = status.model();
  out.model_version = status.model_version();
  out.trigger = status.trigger();
  out.calibrator_version = status.calibrator_version();
  out.state = StateFromProto(status.state());
  out.kind = KindFromProto(status.kind());
  out.reason = status.reason();
  out.labels_needed = status.labels_needed();
  if (status.has_not_before()) out.not_before = ToTime(status.not_before());
  out.next_attempt = status.next_attempt();
  out.next_level = status.next_level();
  for (const v1::RefitAttempt& attempt : status.attempts()) {
    out.attempts.push_back({KindFromProto(attempt.kind()), attempt.incumbent_version(),
                            attempt.candidate_version(), attempt.attempt(),
                            OutcomeFromProto(attempt.outcome()), attempt.reason(), ToTime(attempt.time()),
                            attempt.judged_position()});
  }
  return out;
}

}  // namespace calserve::client
