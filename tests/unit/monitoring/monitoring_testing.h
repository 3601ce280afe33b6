#ifndef CALSERVE_TESTS_UNIT_MONITORING_MONITORING_TESTING_H_
#define CALSERVE_TESTS_UNIT_MONITORING_MONITORING_TESTING_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "server/base/mutex.h"
#include "server/feedback/store.h"
#include "server/monitoring/calibration_monitor.h"
#include "tests/unit/feedback/feedback_testing.h"

namespace calserve {

// Long enough that only a broken test waits for all of it.
inline constexpr absl::Duration kPatience = absl::Seconds(30);

inline const MonitorKey kKey{"fashion", 3, 2};  // of MakeLabel

inline Calibrator TemperatureOf(double temperature, int classes = 10) {
  return *Calibrator::Create({CalibrationMethod::kTemperature, classes, {{"temperature", {temperature}}}});
}

// Every version > 0 is a temperature of 1 + version / 2.
inline absl::StatusOr<std::shared_ptr<const Calibrator>> LookUpTemperature(const std::string&, int64_t,
                                                                           int64_t version) {
  return std::make_shared<const Calibrator>(TemperatureOf(1.0 + 0.5 * static_cast<double>(version)));
}

inline ScoredLabel LabelOf(uint64_t number, const MonitorKey& key) {
  ScoredLabel label = MakeLabel(number, static_cast<int32_t>(number % 3));
  label.prediction.model = key.model;
  label.prediction.model_version = key.model_version;
  label.prediction.calibrator_version = key.calibrator_version;
  label.prediction.confidence = 0.5f + static_cast<float>(number % 97) / 200.0f;
  return label;
}

// Hands everything on to another store; counts, and holds reads of the log back while told to.
class StoreProxy final : public Store {
 public:
  explicit StoreProxy(Store& store) : store_(store) {}

  void HoldReads(bool hold) {
    MutexLock lock(&mu_);
    held_ = hold;
    released_.SignalAll();
  }
  int64_t heads() const { return heads_; }
  int64_t saves() const { return saves_; }

  absl::StatusOr<std::vector<AppendOutcome>> Append(absl::Span<ScoredLabel> labels, absl::Time now) override {
    return store_.Append(labels, now);
  }
  absl::StatusOr<LogHead> Head() override {
    ++heads_;
    return store_.Head();
  }
  absl::StatusOr<std::vector<ScoredLabel>> Read(const LogSelection& selection, int64_t limit) override {
    {
      MutexLock lock(&mu_);
      while (held_) released_.Wait(&mu_);
    }
    return store_.Read(selection, limit);
  }
  absl::StatusOr<std::vector<ScoredLabel>> ReadNewest(const LogSelection& selection, int64_t limit) override {
    return store_.ReadNewest(selection, limit);
  }
  absl::StatusOr<int64_t> DeleteBefore(absl::Time before) override { return store_.DeleteBefore(before); }
  absl::StatusOr<StoredCalibrator> AddCalibrator(StoredCalibrator calibrator) override {
    return store_.AddCalibrator(std::move(calibrator));
  }
  absl::StatusOr<std::vector<StoredCalibrator>> ListCalibrators(const std::string& model) override {
    return store_.ListCalibrators(model);
  }
  absl::Status ActivateCalibrator(const std::string& model, int64_t model_version, int64_t version,
                                  int64_t expected_active, absl::Time now) override {
    return store_.ActivateCalibrator(model, model_version, version, expected_active, now);
  }
  absl::StatusOr<int64_t> PreviousActive(const std::string& model, int64_t model_version) override {
    return store_.PreviousActive(model, model_version);
  }
  absl::Status SaveCheckpoint(const std::string& name, const Checkpoint& checkpoint) override {
    ++saves_;
    return store_.SaveCheckpoint(name, checkpoint);
  }
  absl::StatusOr<std::optional<Checkpoint>> LoadCheckpoint(const std::string& name) override {
    return store_.LoadCheckpoint(name);
  }
  std::string deployment_id() const override { return store_.deployment_id(); }

 private:
  Store& store_;
  std::atomic<int64_t> heads_{0}, saves_{0};
  Mutex mu_;
  CondVar released_;
  bool held_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_MONITORING_MONITORING_TESTING_H_
