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
#include "server/base/clock.h"
#include "server/feedback/store.h"

namespace calserve {

// A calibrator version, decoded.
struct CalibratorVersion {
  std::string model;
  int64_t model_version = 0;
  int64_t version = 0;  // 0: plain softmax
  std::string digest;
  std::string origin;   // "fit" or "shipped"
  CalibratorState state = CalibratorState::kFitted;
  absl::Time created;
  std::optional<absl::Time> activated;
  CalibratorSpec spec;
  std::optional<FitReport> report;
};

// A model version that calibrators are fitted for.
struct CalibrationTarget {
  std::string model;
  int64_t model_version = 0;
  int classes = 0;
};

// Labelled logits: N×K float32, row-major (K as LogitsView: 1 for a single-logit binary model), N class indices.
struct LabelledLogits {
  int columns = 0;
  std::vector<float> logits;
  std::vector<int32_t> labels;
};

struct RecalibrationOptions {
  int64_t fit_max_rows = 1'000'000;             // rows of one fit
  int64_t fit_max_bytes = int64_t{512} << 20;   // of the logits of one fit
  int max_queued_fits = 4;                      // beyond it RESOURCE_EXHAUSTED
};

// Calibrator versions of every model: fits them on one low-priority thread, stores, lists, activates and rolls back.
// Thread-safe. Destruction cancels the fit under way (CANCELLED) and those that wait.
class CalibratorRegistry {
 public:
  // Told when another calibrator became active, before Activate returns; installs it in the serving table.
  using OnActivate = std::function<void(const CalibratorVersion&)>;
  // Told where a fit stands: stage, fraction of the stage [0, 1], rows read. Returning false cancels the fit.
  using Progress = std::function<bool(const std::string& stage, double fraction, int64_t rows)>;
  using FitDone = absl::AnyInvocable<void(absl::StatusOr<CalibratorVersion>) &&>;

  static absl::StatusOr<std::unique_ptr<CalibratorRegistry>> Create(const RecalibrationOptions& options, Store& store,
                                                                    const Clock& clock, OnActivate on_activate);
  virtual ~CalibratorRegistry() = default;

  // Stores the calibrator.json shipped with a model version (it gets a version number like any other) and makes it
  // active if the model version never had one. `json` empty: none is shipped. Returns what is active now.
  virtual absl::StatusOr<CalibratorVersion> AddModelVersion(const CalibrationTarget& target,
                                                            const std::string& json) = 0;

  // Fits to stored feedback of the model version (selection.model and model_version are set from the target), the
  // newest max_rows. FAILED_PRECONDITION where the data cannot support a fit.
  virtual void FitStored(const CalibrationTarget& target, CalibrationMethod method, int folds, LogSelection selection,
                         int64_t max_rows, Progress progress, FitDone done) = 0;
  virtual void FitUploaded(const CalibrationTarget& target, CalibrationMethod method, int folds, LabelledLogits data,
                           Progress progress, FitDone done) = 0;

  // Newest first.
  virtual absl::StatusOr<std::vector<CalibratorVersion>> List(const std::string& model) = 0;
  // What is active for the model version: plain softmax has version 0.
  virtual CalibratorVersion Active(const std::string& model, int64_t model_version) = 0;
  // ABORTED when `expected_active` is not what is active, naming what is; NOT_FOUND for an unknown version.
  virtual absl::StatusOr<CalibratorVersion> Activate(const std::string& model, int64_t model_version, int64_t version,
                                                     int64_t expected_active) = 0;
  virtual absl::StatusOr<CalibratorVersion> Rollback(const std::string& model, int64_t model_version,
                                                     int64_t expected_active) = 0;

  // Metrics of stored labels (newest `max_rows` of the selection): served and uncalibrated, with intervals; also the
  // position of the newest row read. Runs on the caller's thread: bounded by max_rows.
  struct StoredReport {
    int64_t position = 0;
    absl::Time time;
    CalibrationMetrics served, uncalibrated;
  };
  virtual absl::StatusOr<StoredReport> ReportStored(const LogSelection& selection, int64_t max_rows, int bins) = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RECALIBRATION_CALIBRATOR_REGISTRY_H_
