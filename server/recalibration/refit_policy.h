#ifndef CALSERVE_SERVER_RECALIBRATION_REFIT_POLICY_H_
#define CALSERVE_SERVER_RECALIBRATION_REFIT_POLICY_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "calibration/calibration_alarm.h"
#include "calibration/calibrator.h"
#include "calibration/paired_comparison.h"
#include "server/feedback/store.h"
#include "server/monitoring/label_selection.h"
#include "server/monitoring/model_settings.h"

namespace calserve {

// When a model's calibrator is fitted anew without anybody asking, and what it takes to replace the active
// one: `refit` of model.yaml.
struct RefitPolicy {
  enum class On { kNever, kAlarm, kEvery, kSchedule };

  On on = On::kNever;
  int every = 10'000;                         // kEvery: labels between two attempts
  absl::Duration schedule = absl::Hours(24);  // kSchedule: time between two attempts
  CalibrationMethod method = CalibrationMethod::kTemperature;
  int least_labels = 1'000;  // of an attempt, those fitted on and those that judge together
  double holdout = 0.5;      // the share of labels that judges
  double alpha = 0.01;       // chance of ever replacing an active calibrator by one that is no better
  double guard = 0.005;      // accuracy on the judging labels that the new one may lose
  absl::Duration cooldown = absl::Hours(1);  // after any activation
  bool rollback = true;  // after an automatic activation: back, if what was active before proves better
  friend bool operator==(const RefitPolicy&, const RefitPolicy&) = default;
};

// "never", "alarm", "every", "schedule".
std::string TriggerName(RefitPolicy::On on);

// Never, for a model that was never read.
using RefitSettings = ModelSettings<RefitPolicy>;

// What the next step of a model version follows from.
struct RefitSituation {
  absl::Time now;
  int64_t log_end = 0;  // position of the last label, of any model
  int64_t incumbent_fit_position = 0;
  std::optional<CalibratorActivation> activation;  // the last one
  bool activated_by_refit = false;                 // it was an attempt's of kind kRefit
  int rollback_tests = 0;                          // since the activation
  std::optional<RefitAttempt> last;                // of the incumbent
  std::optional<RaisedAlarm> alarm;                // of the incumbent
  LabelSelection selection = LabelSelection::kNoDifference;
};

enum class RefitState {
  kOff,              // the policy says never
  kWaiting,          // for an alarm, or for its time
  kCoolingDown,      // since an activation
  kSelectiveLabels,  // labels are not like all predictions, or it cannot be told yet
  kGathering,        // labels
  kRunning
};

// What there is to do, or why nothing.
struct RefitStep {
  RefitState state = RefitState::kOff;
  absl::Time not_before = absl::InfiniteFuture();  // kWaiting, kCoolingDown: looked at again then
  // kGathering: an attempt at this, once there are labels enough.
  RefitAttempt::Kind kind = RefitAttempt::Kind::kRefit;
  int64_t attempt = 1;      // its number
  int64_t fit_after = 0;    // labels fitted on lie after this position,
  int64_t judge_after = 0;  // those that judge after this one
  int64_t least_fit = 0;    // so many are needed to fit on, 0 for a rollback
  int64_t least_judge = 0;  // and so many to judge
};

// Follows from its arguments alone. Labels before the alarm's estimated change point are not fitted on. Those
// that judge come after the label that raised the alarm, so that an alarm raised by chance does not prove
// itself; after every label that judged before for this incumbent; and after its own fit. An attempt after k
// others of an alarm waits for 2^k as many, 64 times at most.
RefitStep NextStep(const RefitPolicy& policy, const RefitSituation& situation);

// alpha 6 / (pi^2 k^2): what attempt k of an incumbent is tested at; they sum to alpha.
double AttemptLevel(double alpha, int64_t attempt);

// Whether a candidate replaces the incumbent, and the sentence that says why or why not.
struct RefitVerdict {
  bool won = false;
  std::string reason;
};
RefitVerdict Judge(const RefitPolicy& policy, int64_t attempt, const PairedComparison& paired);

}  // namespace calserve

#endif  // CALSERVE_SERVER_RECALIBRATION_REFIT_POLICY_H_
