#ifndef CALSERVE_SERVER_RECALIBRATION_CALIBRATOR_VERSIONS_H_
#define CALSERVE_SERVER_RECALIBRATION_CALIBRATOR_VERSIONS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "calibration/calibrator.h"
#include "calibration/fit.h"
#include "calibration_io/calibrator_json.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"
#include "server/feedback/store.h"
#include "server/monitoring/monitor_key.h"
#include "server/recalibration/labelled_logits.h"

namespace calserve {

// A calibrator version, decoded.
struct CalibratorVersion {
  std::string model;
  int64_t model_version = 0;
  int64_t version = 0;  // 0: plain softmax
  std::string digest;
  std::string origin;  // "fit" or "shipped"
  CalibratorState state = CalibratorState::kFitted;
  absl::Time created;
  std::optional<absl::Time> activated;
  CalibratorSpec spec;
  std::optional<FitReport> report;
};

// The life of calibrator versions, FITTED to ACTIVE to RETIRED, in the store. What is active changes in the
// store, in Active() and in `on_activate` under one lock, so that they agree and change in the same order.
// Thread-safe; see CalibratorRegistry for the contract of each method.
class CalibratorVersions final {
 public:
  using OnActivate = std::function<void(const CalibratorVersion&)>;

  CalibratorVersions(Store& store, const Clock& clock, OnActivate on_activate)
      : store_(store), clock_(clock), on_activate_(std::move(on_activate)) {}

  absl::StatusOr<CalibratorVersion> AddModelVersion(const CalibrationTarget& target, const std::string& json,
                                                    const OnActivate& install = nullptr);
  absl::StatusOr<CalibratorVersion> AddFitted(const CalibrationTarget& target, FitResult fit);
  absl::StatusOr<std::vector<CalibratorVersion>> List(const std::string& model);
  CalibratorVersion Active(const std::string& model, int64_t model_version);
  absl::StatusOr<CalibratorVersion> Activate(const std::string& model, int64_t model_version, int64_t version,
                                             int64_t expected_active);
  absl::StatusOr<CalibratorVersion> Rollback(const std::string& model, int64_t model_version,
                                             int64_t expected_active);
  absl::StatusOr<std::shared_ptr<const Calibrator>> Find(const std::string& model, int64_t model_version,
                                                         int64_t version);

 private:
  using ModelVersion = std::pair<std::string, int64_t>;

  absl::Time Now() const { return absl::FromUnixMicros(absl::ToUnixMicros(clock_.Now())); }
  absl::StatusOr<CalibratorVersion> Add(const CalibrationTarget& target, const CalibratorDocument& document,
                                        const std::string& origin);
  // Whether the model version had other content when it was added last.
  absl::StatusOr<bool> ContentChanged(const CalibrationTarget& target);
  absl::Status RememberContent(const CalibrationTarget& target);
  // NOT_FOUND listing what there is.
  absl::StatusOr<CalibratorVersion> Get(const std::string& model, int64_t model_version, int64_t version);
  absl::StatusOr<CalibratorVersion> ActivateLocked(const std::string& model, int64_t model_version,
                                                   int64_t version, int64_t expected_active)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(activation_mu_);
  void SetActive(const CalibratorVersion& version);

  Store& store_;
  const Clock& clock_;
  const OnActivate on_activate_;

  Mutex activation_mu_;  // Held while what is active changes. Before mu_.
  Mutex mu_;             // Never held while waiting.
  std::map<ModelVersion, CalibratorVersion> active_ ABSL_GUARDED_BY(mu_);
  std::map<MonitorKey, std::shared_ptr<const Calibrator>> calibrators_ ABSL_GUARDED_BY(mu_);  // met by Find
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RECALIBRATION_CALIBRATOR_VERSIONS_H_
