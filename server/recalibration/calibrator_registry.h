#ifndef CALSERVE_SERVER_RECALIBRATION_CALIBRATOR_REGISTRY_H_
#define CALSERVE_SERVER_RECALIBRATION_CALIBRATOR_REGISTRY_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "calibration/fit.h"
#include "calibration/metrics/detailed_metrics.h"
#include "server/base/clock.h"
#include "server/feedback/store.h"
#include "server/monitoring/calibration_monitor.h"
#include "server/recalibration/calibrator_versions.h"
#include "server/recalibration/labelled_logits.h"
#include "server/recalibration/low_priority_worker.h"
#include "server/recalibration/paired_rows.h"
#include "server/recalibration/stored_report.h"

namespace calserve {

struct RecalibrationOptions {
  int64_t fit_max_rows = 1'000'000;            // rows of one fit
  int64_t fit_max_bytes = int64_t{512} << 20;  // of one fit: its logits and what its method takes beside
  int shadows = 2;                             // newest FITTED of a model version scored on live labels
  int max_queued_fits = 4;                     // beside the one that runs; beyond it RESOURCE_EXHAUSTED
};

// Calibrator versions of every model: fits them on one low-priority thread, stores, lists, activates and
// rolls back. Thread-safe. Destruction cancels the fit under way (CANCELLED) and those that wait.
class CalibratorRegistry {
 public:
  // Told when another calibrator became active, before Activate returns; installs it in the serving table.
  // One call at a time, in the order in which the store changed. Must not call the registry but for Active.
  using OnActivate = std::function<void(const CalibratorVersion&)>;
  // Told where a fit stands: stage ("reading", "comparing", "fitting", "cross-validating", "storing"),
  // fraction of the stage [0, 1], rows read. Returning false cancels the fit. From the fit thread; may be
  // null.
  using Progress = std::function<bool(const std::string& stage, double fraction, int64_t rows)>;
  // Called exactly once: from the caller's thread where the fit is refused at once, else from the fit thread.
  using FitDone = absl::AnyInvocable<void(absl::StatusOr<CalibratorVersion>) &&>;

  // `store` and `clock` outlive the registry.
  static absl::StatusOr<std::unique_ptr<CalibratorRegistry>> Create(const RecalibrationOptions& options,
                                                                    Store& store, const Clock& clock,
                                                                    OnActivate on_activate);
  virtual ~CalibratorRegistry() = default;

  // Stores the calibrator.json shipped with a model version (it gets a version number like any other; the
  // same one again keeps its number) and makes it active if the model version never had one. `json` empty:
  // none is shipped. INVALID_ARGUMENT where it is no calibrator for the target's classes; FAILED_PRECONDITION
  // where the active one is for another number of classes. Where the target has another digest than when it
  // was added last, the calibrator that was active then is not any more: what is shipped is, or plain
  // softmax; where it is the digest before that one, what was active with it is. Returns what is active now.
  // OnActivate is not told: `install` (may be null) is, before another calibrator of any model can become
  // active.
  virtual absl::StatusOr<CalibratorVersion> AddModelVersion(const CalibrationTarget& target,
                                                            const std::string& json,
                                                            const OnActivate& install = nullptr) = 0;

  // Fits to stored feedback of the model version (selection.model and model_version are set from the target),
  // the newest max_rows (0: fit_max_rows). The new version is FITTED: what is active does not change.
  // FAILED_PRECONDITION where the data cannot support a fit; INVALID_ARGUMENT beyond fit_max_rows or
  // fit_max_bytes; RESOURCE_EXHAUSTED when too many fits wait; CANCELLED. `options` as FitCalibrator takes
  // them, but for their progress.
  virtual void FitStored(const CalibrationTarget& target, CalibrationMethod method, const FitOptions& options,
                         LogSelection selection, int64_t max_rows, Progress progress, FitDone done) = 0;
  virtual void FitUploaded(const CalibrationTarget& target, CalibrationMethod method,
                           const FitOptions& options, LabelledLogits data, Progress progress,
                           FitDone done) = 0;

  // Runs `work` on the fit thread, after what waits for it; false, with `work` untouched, where too much
  // does. It runs at destruction too, and must see for itself that it need not.
  virtual bool RunOnFitThread(LowPriorityWorker::Task&& work) = 0;
  // Fits and stores as FitUploaded, on the caller's thread: for work on the fit thread. data.position becomes
  // the version's fit_position. `go_on`, asked now and then, false: CANCELLED.
  virtual absl::StatusOr<CalibratorVersion> FitNow(const CalibrationTarget& target, CalibrationMethod method,
                                                   const FitOptions& options, const LabelledLogits& data,
                                                   std::function<bool()> go_on) = 0;

  // Newest first.
  virtual absl::StatusOr<std::vector<CalibratorVersion>> List(const std::string& model) = 0;
  // What is active for a model version that was added: plain softmax has version 0. Never waits for the
  // store.
  virtual CalibratorVersion Active(const std::string& model, int64_t model_version) = 0;
  // `version` 0: plain softmax. ABORTED when `expected_active` is not what is active, naming what is;
  // NOT_FOUND for an unknown version. Rollback activates what was active before: FAILED_PRECONDITION if
  // nothing ever was.
  virtual absl::StatusOr<CalibratorVersion> Activate(const std::string& model, int64_t model_version,
                                                     int64_t version, int64_t expected_active) = 0;
  virtual absl::StatusOr<CalibratorVersion> Rollback(const std::string& model, int64_t model_version,
                                                     int64_t expected_active) = 0;

  // The newest FITTED versions of each model version, options.shadows at most: CalibrationMonitor's
  // ShadowSource.
  virtual std::shared_ptr<const ShadowList> Shadows() const = 0;

  // The two on the newest `max_rows` stored labels after the fits of both, by whichever calibrator they were
  // served. Versions: 0 is plain softmax. NOT_FOUND. Runs on the caller's thread; `go_on`, asked now and
  // then, false: CANCELLED.
  virtual absl::StatusOr<PairedResult> Compare(const CalibrationTarget& target, int64_t incumbent,
                                               int64_t candidate, int64_t max_rows,
                                               const std::function<bool()>& go_on) = 0;

  // A version > 0 of a model version; NOT_FOUND listing what there is.
  virtual absl::StatusOr<CalibratorVersion> Get(const std::string& model, int64_t model_version,
                                                int64_t version) = 0;

  // The calibrator of a version > 0, remembered: CalibrationMonitor's CalibratorLookup. Null where there is
  // none.
  virtual absl::StatusOr<std::shared_ptr<const Calibrator>> Find(const std::string& model,
                                                                 int64_t model_version, int64_t version) = 0;

  // Metrics of stored labels (newest `max_rows` of the selection, 0: fit_max_rows): served and uncalibrated,
  // with intervals, and where asked for with details; also the position of the newest row read. Runs on the
  // caller's thread: bounded by max_rows; `go_on`, asked at least every few seconds, false: CANCELLED.
  struct StoredReport {
    int64_t position = 0;
    absl::Time time;
    CalibrationMetrics served, uncalibrated;
    std::optional<DetailedMetrics> served_details, uncalibrated_details;
    // As WindowReport's, of these rows. Of a selection of one calibrator version.
    std::vector<WindowReport::SetCoverage> set_coverage;
    std::optional<WeightedEstimates> weighted;
  };
  virtual absl::StatusOr<StoredReport> ReportStored(const LogSelection& selection,
                                                    StoredMetricsOptions options) = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RECALIBRATION_CALIBRATOR_REGISTRY_H_
