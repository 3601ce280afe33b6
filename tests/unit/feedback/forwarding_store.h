#ifndef CALSERVE_TESTS_UNIT_FEEDBACK_FORWARDING_STORE_H_
#define CALSERVE_TESTS_UNIT_FEEDBACK_FORWARDING_STORE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/feedback/store.h"

namespace calserve {

// Passes every call on to another store, which outlives it: a base for tests that watch or disturb some of
// them.
class ForwardingStore : public Store {
 public:
  explicit ForwardingStore(Store& to) : to_(to) {}

  absl::StatusOr<std::vector<AppendOutcome>> Append(absl::Span<ScoredLabel> labels, absl::Time now) override {
    return to_.Append(labels, now);
  }
  absl::StatusOr<LogHead> Head() override { return to_.Head(); }
  absl::StatusOr<std::vector<ScoredLabel>> Read(const LogSelection& selection, int64_t limit) override {
    return to_.Read(selection, limit);
  }
  absl::StatusOr<std::vector<ScoredLabel>> ReadNewest(const LogSelection& selection, int64_t limit) override {
    return to_.ReadNewest(selection, limit);
  }
  absl::StatusOr<int64_t> DeleteBefore(absl::Time before) override { return to_.DeleteBefore(before); }
  absl::StatusOr<StoredCalibrator> AddCalibrator(StoredCalibrator calibrator) override {
    return to_.AddCalibrator(std::move(calibrator));
  }
  absl::StatusOr<std::vector<StoredCalibrator>> ListCalibrators(const std::string& model) override {
    return to_.ListCalibrators(model);
  }
  absl::Status ActivateCalibrator(const std::string& model, int64_t model_version, int64_t version,
                                  int64_t expected_active, absl::Time now) override {
    return to_.ActivateCalibrator(model, model_version, version, expected_active, now);
  }
  absl::StatusOr<int64_t> PreviousActive(const std::string& model, int64_t model_version) override {
    return to_.PreviousActive(model, model_version);
  }
  absl::StatusOr<std::optional<CalibratorActivation>> LastActivation(const std::string& model,
                                                                     int64_t model_version) override {
    return to_.LastActivation(model, model_version);
  }
  absl::Status SaveRefitAttempt(const RefitAttempt& attempt) override {
    return to_.SaveRefitAttempt(attempt);
  }
  absl::StatusOr<std::vector<RefitAttempt>> ListRefitAttempts(const std::string& model, int64_t model_version,
                                                              std::optional<int64_t> incumbent,
                                                              int64_t limit) override {
    return to_.ListRefitAttempts(model, model_version, incumbent, limit);
  }
  absl::Status AddAcknowledgement(const Acknowledgement& acknowledgement) override {
    return to_.AddAcknowledgement(acknowledgement);
  }
  absl::StatusOr<std::vector<Acknowledgement>> ListAcknowledgements(int64_t position) override {
    return to_.ListAcknowledgements(position);
  }
  absl::Status SaveCheckpoint(const std::string& name, const Checkpoint& checkpoint,
                              absl::Span<const CheckpointPart> parts) override {
    return to_.SaveCheckpoint(name, checkpoint, parts);
  }
  absl::StatusOr<std::optional<Checkpoint>> LoadCheckpoint(const std::string& name) override {
    return to_.LoadCheckpoint(name);
  }
  absl::StatusOr<std::string> LoadCheckpointPart(const std::string& name, const std::string& part,
                                                 int64_t position) override {
    return to_.LoadCheckpointPart(name, part, position);
  }
  std::string deployment_id() const override { return to_.deployment_id(); }

 private:
  Store& to_;
};

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_FEEDBACK_FORWARDING_STORE_H_
