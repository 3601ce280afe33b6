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
#include "server/monitoring/shadow_fold.h"
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
  int64_t fit_position = 0;  // of the log: no label after it was seen by the fit
  std::string note;          // why an automatic refit did not activate it
};

// The life of calibrator versions, FITTED to ACTIVE to RETIRED, in the store. What is active changes in the
// store, in Active() and in `on_activate` under one lock, so that they agree and change in the same order.
// Thread-safe; see CalibratorRegistry for the contract of each method.
class CalibratorVersions final {
 public:
  using OnActivate = std::function<void(const CalibratorVersion&)>;

  // `shadows`: how many of a model version Shadows has.
  CalibratorVersions(Store& store, const Clock& clock, OnActivate on_activate, int shadows = 0)
      : store_(store), clock_(clock), on_activate_(std::move(on_activate)), max_shadows_(shadows) {}

  absl::StatusOr<CalibratorVersion> AddModelVersion(const CalibrationTarget& target, const std::string& json,
                                                    const OnActivate& install = nullptr);
  // `fit_position` as CalibratorVersion's.
  absl::StatusOr<CalibratorVersion> AddFitted(const CalibrationTarget& target, FitResult fit,
                                              int64_t fit_position = 0);
  absl::StatusOr<std::vector<CalibratorVersion>> List(const std::string& model);
  CalibratorVersion Active(const std::string& model, int64_t model_version);
  absl::StatusOr<CalibratorVersion> Activate(const std::string& model, int64_t model_version, int64_t version,
                                             int64_t expected_active);
  absl::StatusOr<CalibratorVersion> Rollback(const std::string& model, int64_t model_version,
                                             int64_t expected_active);
  absl::StatusOr<std::shared_ptr<const Calibrator>> Find(const std::string& model, int64_t model_version,
                                                         int64_t version);
  std::shared_ptr<const ShadowList> Shadows() const {
    MutexLock lock(&mu_);
    return shadow_list_;
  }
  // NOT_FOUND listing what there is.
  absl::StatusOr<CalibratorVersion> Get(const std::string& model, int64_t model_version, int64_t version);

 private:
  using ModelVersion = std::pair<std::string, int64_t>;

  absl::Time Now() const { return absl::FromUnixMicros(absl::ToUnixMicros(clock_.Now())); }
  absl::StatusOr<CalibratorVersion> Add(const CalibrationTarget& target, const CalibratorDocument& document,
                                        const std::string& origin, int64_t fit_position);
  // Whether the model version had other content when it was added last.
  absl::StatusOr<bool> ContentChanged(const CalibrationTarget& target);
  absl::Status RememberContent(const CalibrationTarget& target);
  // What was active when this content was replaced, where it is that before the present one, or what is to be
  // for this one, where its activation was begun.
  absl::StatusOr<std::optional<int64_t>> ActiveBefore(const CalibrationTarget& target);
  // Of the content that is replaced and of the one that takes its place, before either changes in the store:
  // a process that ends in between finds the same again.
  absl::Status RememberActive(const CalibrationTarget& target, int64_t active, int64_t next);
  absl::StatusOr<CalibratorVersion> ActivateLocked(const std::string& model, int64_t model_version,
                                                   int64_t version, int64_t expected_active)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(activation_mu_);
  void SetActive(const CalibratorVersion& version);
  // A FITTED version is a shadow, if it is among the newest; any other is none.
  void NoteShadow(const CalibratorVersion& version);

  Store& store_;
  const Clock& clock_;
  const OnActivate on_activate_;
  const int max_shadows_;

  Mutex activation_mu_;  // Held while what is active changes. Before mu_.
  mutable Mutex mu_;     // Never held while waiting.
  std::map<ModelVersion, CalibratorVersion> active_ ABSL_GUARDED_BY(mu_);
  std::map<MonitorKey, std::shared_ptr<const Calibrator>> calibrators_ ABSL_GUARDED_BY(mu_);  // met by Find
  std::map<ModelVersion, std::map<int64_t, ShadowCalibrator>> shadows_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<const ShadowList> shadow_list_ ABSL_GUARDED_BY(mu_);  // of all of them
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RECALIBRATION_CALIBRATOR_VERSIONS_H_
