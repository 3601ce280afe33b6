#ifndef CALSERVE_SERVER_RECALIBRATION_REFIT_CONTROLLER_H_
#define CALSERVE_SERVER_RECALIBRATION_REFIT_CONTROLLER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/base/clock.h"
#include "server/feedback/store.h"
#include "server/monitoring/calibration_monitor.h"
#include "server/monitoring/label_selection.h"
#include "server/monitoring/monitor_key.h"
#include "server/recalibration/calibrator_registry.h"
#include "server/recalibration/refit_counters.h"
#include "server/recalibration/refit_observer.h"
#include "server/recalibration/refit_policy.h"

namespace calserve {

// Where the automatic refit of a model version stands.
struct RefitStatus {
  RefitPolicy policy;
  int64_t active = 0;  // the incumbent
  RefitState state = RefitState::kOff;
  RefitAttempt::Kind kind = RefitAttempt::Kind::kRefit;  // kGathering: of what is gathered for
  std::string reason;                                    // a sentence
  int64_t next_attempt = 1;                              // its number
  double next_level = 0;                                 // what it is tested at
  int64_t labels_needed = 0;                             // kGathering: at least so many labels more
  std::optional<absl::Time> not_before;                  // kCoolingDown, kWaiting for its time
  std::vector<RefitAttempt> attempts;                    // the newest first, at most kListedAttempts
};

// Fits, judges, activates and rolls back by the policy of each model, without anybody asking. Looks whenever
// labels were committed, at most once a second, and when a time that it waits for has come; nothing else
// wakes it. What reads many rows, fits or judges runs on the registry's fit thread, one attempt at a time.
// Everything that decides is in the store before it counts: a kill at any point leaves what is active, and
// at worst an attempt INTERRUPTED whose labels do not judge again. Thread-safe. Destruction stops attempts
// and waits for the one under way alone.
class RefitController {
 public:
  struct Hooks {
    // The model versions that are served. Must not wait.
    std::function<std::vector<CalibrationTarget>()> served;
    // Whether the labels of a calibrator version look like all of its predictions. Must not wait.
    std::function<LabelSelection(const MonitorKey&)> selection;
    // Told after an activation. Must not wait.
    std::function<void()> activated = [] {};
  };
  struct Options {
    absl::Duration pause = absl::Seconds(1);  // between two looks, at least
    int64_t max_rows = 1'000'000;             // of an attempt: the newest
    int64_t max_bytes = int64_t{512} << 20;   // of the logits that it fits to
  };

  // All outlive the controller.
  static std::unique_ptr<RefitController> Create(const Options& options, const RefitSettings& settings,
                                                 CalibratorRegistry& registry, CalibrationMonitor& monitor,
                                                 Store& store, const Clock& clock, Hooks hooks);
  virtual ~RefitController() = default;

  // Labels were committed; never waits.
  virtual void Notify() = 0;
  // Cancels an attempt under way and begins no other; does not wait. At the beginning of a drain.
  virtual void StopAttempts() = 0;
  // Waits for the store.
  virtual absl::StatusOr<RefitStatus> Status(const CalibrationTarget& target) = 0;
  // By model and version; those that were looked at, which is from soon after they are served with a policy.
  virtual std::map<std::pair<std::string, int64_t>, RefitCounters> counters() const = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RECALIBRATION_REFIT_CONTROLLER_H_
