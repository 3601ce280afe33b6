#ifndef CALSERVE_TESTS_UNIT_MONITORING_MONITORING_TESTING_H_
#define CALSERVE_TESTS_UNIT_MONITORING_MONITORING_TESTING_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/base/mutex.h"
#include "server/feedback/store.h"
#include "server/monitoring/calibration_monitor.h"
#include "tests/unit/feedback/feedback_testing.h"
#include "tests/unit/feedback/forwarding_store.h"

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
  if (number % 3 == 0) label.inclusion_probability = 1.0 / static_cast<double>(1 + number % 7);
  return label;
}

// Counts, and holds reads of the log back while told to.
class WatchedStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;

  void HoldReads(bool hold) {
    MutexLock lock(&mu_);
    held_ = hold;
    released_.SignalAll();
  }
  int64_t heads() const { return heads_; }
  int64_t saves() const { return saves_; }
  // The parts that the last checkpoint wrote.
  std::vector<std::string> written() const {
    MutexLock lock(&mu_);
    return written_;
  }

  absl::StatusOr<LogHead> Head() override {
    ++heads_;
    return ForwardingStore::Head();
  }
  absl::StatusOr<std::vector<ScoredLabel>> Read(const LogSelection& selection, int64_t limit) override {
    {
      MutexLock lock(&mu_);
      while (held_) released_.Wait(&mu_);
    }
    return ForwardingStore::Read(selection, limit);
  }
  absl::Status SaveCheckpoint(const std::string& name, const Checkpoint& checkpoint,
                              absl::Span<const CheckpointPart> parts) override {
    ++saves_;
    {
      MutexLock lock(&mu_);
      written_.clear();
      for (const CheckpointPart& part : parts) {
        if (part.state != nullptr) written_.push_back(part.name);
      }
    }
    return ForwardingStore::SaveCheckpoint(name, checkpoint, parts);
  }

 private:
  std::atomic<int64_t> heads_{0}, saves_{0};
  mutable Mutex mu_;
  CondVar released_;
  bool held_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::string> written_ ABSL_GUARDED_BY(mu_);
};

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_MONITORING_MONITORING_TESTING_H_
