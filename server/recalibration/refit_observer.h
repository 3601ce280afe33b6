#ifndef CALSERVE_SERVER_RECALIBRATION_REFIT_OBSERVER_H_
#define CALSERVE_SERVER_RECALIBRATION_REFIT_OBSERVER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/base/clock.h"
#include "server/feedback/store.h"
#include "server/monitoring/calibration_monitor.h"
#include "server/monitoring/label_selection.h"
#include "server/monitoring/monitor_key.h"
#include "server/recalibration/calibrator_registry.h"
#include "server/recalibration/labelled_logits.h"
#include "server/recalibration/refit_policy.h"

namespace calserve {

// The newest attempts that a look counts, and that are listed.
inline constexpr int64_t kListedAttempts = 20;

// What a look at a served model version found: the step, and what it was made of.
struct RefitLook {
  CalibrationTarget target;
  RefitPolicy policy;
  int64_t incumbent = 0;
  int64_t log_end = 0;
  int64_t previous = 0;  // active before the incumbent
  RefitStep step;
};

// The state of a look in a sentence. `missing`: labels that are waited for; `failure`: of the last fit, or
// empty.
std::string Explain(const RefitLook& look, int64_t missing, absl::string_view failure);

// Gathers what NextStep decides on: what is active, the log, the alarm, the attempts of before. Thread-safe.
class RefitObserver final {
 public:
  using Selection = std::function<LabelSelection(const MonitorKey&)>;

  // All outlive it.
  RefitObserver(CalibratorRegistry& registry, CalibrationMonitor& monitor, Store& store, const Clock& clock,
                Selection selection)
      : registry_(registry),
        monitor_(monitor),
        store_(store),
        clock_(clock),
        selection_(std::move(selection)) {}

  // Fails as the store does. `under_way`: whether an attempt of this model version is now; where none is, one
  // that is still noted as being judged was left by a server that ended, and is concluded in the store.
  absl::StatusOr<RefitLook> Look(const CalibrationTarget& target, const RefitPolicy& policy,
                                 absl::FunctionRef<bool()> under_way) const;

 private:
  absl::StatusOr<std::optional<RefitAttempt>> LastAttempt(
      const CalibrationTarget& target, int64_t incumbent,
      const std::optional<CalibratorActivation>& activation, absl::FunctionRef<bool()> under_way) const;

  CalibratorRegistry& registry_;
  CalibrationMonitor& monitor_;
  Store& store_;
  const Clock& clock_;
  const Selection selection_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RECALIBRATION_REFIT_OBSERVER_H_
