#ifndef CALSERVE_TESTS_UNIT_FEEDBACK_MEMORY_STORE_H_
#define CALSERVE_TESTS_UNIT_FEEDBACK_MEMORY_STORE_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/mutex.h"
#include "server/feedback/store.h"

namespace calserve {

// A Store without a disk, for the tests of what stands on it; the conformance suite holds it to the same
// contract. FailWith makes every later call fail, until it is given OK. Thread-safe.
class MemoryStore final : public Store {
 public:
  void FailWith(absl::Status status) {
    MutexLock lock(&mu_);
    failure_ = std::move(status);
  }

  absl::StatusOr<std::vector<AppendOutcome>> Append(absl::Span<ScoredLabel> labels, absl::Time now) override {
    MutexLock lock(&mu_);
    if (!failure_.ok()) return failure_;
    const absl::Time time = absl::FromUnixMicros(absl::ToUnixMicros(std::max(now, head_.last_time)));
    std::vector<AppendOutcome> outcomes;
    for (ScoredLabel& label : labels) {
      const auto [known, inserted] = labels_.emplace(label.prediction.prediction_id, label.label);
      if (!inserted) {
        outcomes.push_back(known->second == label.label ? AppendOutcome::kDuplicate
                                                        : AppendOutcome::kLabelConflict);
        continue;
      }
      label.position = head_.next_position++;
      label.time = head_.last_time = time;
      label.prediction.issued_at = absl::FromUnixMicros(absl::ToUnixMicros(label.prediction.issued_at));
      rows_.push_back(label);
      outcomes.push_back(AppendOutcome::kAccepted);
    }
    return outcomes;
  }

  absl::StatusOr<LogHead> Head() override {
    MutexLock lock(&mu_);
    if (!failure_.ok()) return failure_;
    return head_;
  }

  absl::StatusOr<std::vector<ScoredLabel>> Read(const LogSelection& selection, int64_t limit) override {
    MutexLock lock(&mu_);
    if (!failure_.ok()) return failure_;
    if (limit < 0) return absl::InvalidArgumentError("limit must be >= 0");
    std::vector<ScoredLabel> selected = Select(selection);
    if (static_cast<int64_t>(selected.size()) > limit) selected.resize(limit);
    return selected;
  }

  absl::StatusOr<std::vector<ScoredLabel>> ReadNewest(const LogSelection& selection, int64_t limit) override {
    MutexLock lock(&mu_);
    if (!failure_.ok()) return failure_;
    if (limit < 0) return absl::InvalidArgumentError("limit must be >= 0");
    std::vector<ScoredLabel> selected = Select(selection);
    const int64_t size = static_cast<int64_t>(selected.size());
    selected.erase(selected.begin(), selected.end() - std::min(limit, size));
    return selected;
  }

  absl::StatusOr<int64_t> DeleteBefore(absl::Time before) override {
    MutexLock lock(&mu_);
    if (!failure_.ok()) return failure_;
    const auto end =
        std::find_if(rows_.begin(), rows_.end(), [&](const ScoredLabel& r) { return r.time >= before; });
    for (auto row = rows_.begin(); row != end; ++row) labels_.erase(row->prediction.prediction_id);
    const int64_t count = end - rows_.begin();
    rows_.erase(rows_.begin(), end);
    return count;
  }

  absl::StatusOr<StoredCalibrator> AddCalibrator(StoredCalibrator calibrator) override {
    MutexLock lock(&mu_);
    if (!failure_.ok()) return failure_;
    calibrator.version = 1;
    for (StoredCalibrator& other : calibrators_) {
      if (other.model != calibrator.model) continue;
      if (other.model_version == calibrator.model_version && other.digest == calibrator.digest) {
        other.fit_position = std::max(other.fit_position, calibrator.fit_position);
        return other;
      }
      calibrator.version = std::max(calibrator.version, other.version + 1);
    }
    calibrator.state = CalibratorState::kFitted;
    calibrator.created = absl::FromUnixMicros(absl::ToUnixMicros(calibrator.created));
    calibrator.activated.reset();
    calibrators_.push_back(calibrator);
    return calibrator;
  }

  absl::StatusOr<std::vector<StoredCalibrator>> ListCalibrators(const std::string& model) override {
    MutexLock lock(&mu_);
    if (!failure_.ok()) return failure_;
    std::vector<StoredCalibrator> listed;
    for (auto c = calibrators_.rbegin(); c != calibrators_.rend(); ++c) {
      if (c->model == model) listed.push_back(*c);
    }
    return listed;
  }

  absl::Status ActivateCalibrator(const std::string& model, int64_t model_version, int64_t version,
                                  int64_t expected_active, absl::Time now) override {
    MutexLock lock(&mu_);
    if (!failure_.ok()) return failure_;
    StoredCalibrator* const next = version == 0 ? nullptr : Find(model, model_version, version);
    if (version != 0 && next == nullptr) {
      return absl::NotFoundError(absl::StrCat("no calibrator version ", version, " of model ", model));
    }
    std::vector<CalibratorActivation>& history = activations_[{model, model_version}];
    const int64_t active = history.empty() ? 0 : history.back().version;
    if (active != expected_active)
      return absl::AbortedError(absl::StrCat("calibrator version ", active, " is active"));
    if (version == active) return absl::OkStatus();
    if (active != 0) Find(model, model_version, active)->state = CalibratorState::kRetired;
    if (next != nullptr) {
      next->state = CalibratorState::kActive;
      next->activated = absl::FromUnixMicros(absl::ToUnixMicros(now));
    }
    history.push_back(
        {version, active, head_.next_position - 1, absl::FromUnixMicros(absl::ToUnixMicros(now))});
    return absl::OkStatus();
  }

  absl::StatusOr<int64_t> PreviousActive(const std::string& model, int64_t model_version) override {
    MutexLock lock(&mu_);
    if (!failure_.ok()) return failure_;
    const std::vector<CalibratorActivation>& history = activations_[{model, model_version}];
    if (history.empty()) return absl::FailedPreconditionError("none was ever activated");
    return history.back().previous;
  }

  absl::StatusOr<std::optional<CalibratorActivation>> LastActivation(const std::string& model,
                                                                     int64_t model_version) override {
    MutexLock lock(&mu_);
    if (!failure_.ok()) return failure_;
    const std::vector<CalibratorActivation>& history = activations_[{model, model_version}];
    if (history.empty()) return std::optional<CalibratorActivation>();
    return std::optional<CalibratorActivation>(history.back());
  }

  absl::Status SaveRefitAttempt(const RefitAttempt& attempt) override {
    MutexLock lock(&mu_);
    if (!failure_.ok()) return failure_;
    RefitAttempt saved = attempt;
    saved.time = absl::FromUnixMicros(absl::ToUnixMicros(saved.time));
    refits_[std::tuple(saved.model, saved.model_version, saved.incumbent, saved.attempt)] = saved;
    StoredCalibrator* const candidate = Find(saved.model, saved.model_version, saved.candidate);
    if (candidate != nullptr && !candidate->activated.has_value()) candidate->note = saved.reason;
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<RefitAttempt>> ListRefitAttempts(const std::string& model, int64_t model_version,
                                                              std::optional<int64_t> incumbent,
                                                              int64_t limit) override {
    MutexLock lock(&mu_);
    if (!failure_.ok()) return failure_;
    std::vector<RefitAttempt> listed;
    for (const auto& [key, attempt] : refits_) {
      if (attempt.model != model || attempt.model_version != model_version) continue;
      if (!incumbent.has_value() || attempt.incumbent == *incumbent) listed.push_back(attempt);
    }
    std::sort(listed.begin(), listed.end(), [](const RefitAttempt& a, const RefitAttempt& b) {
      return std::tuple(b.time, b.judged_position, b.attempt) <
             std::tuple(a.time, a.judged_position, a.attempt);
    });
    if (static_cast<int64_t>(listed.size()) > limit) listed.resize(limit);
    return listed;
  }

  absl::Status AddAcknowledgement(const Acknowledgement& acknowledgement) override {
    MutexLock lock(&mu_);
    if (!failure_.ok()) return failure_;
    Acknowledgement added = acknowledgement;
    added.time = absl::FromUnixMicros(absl::ToUnixMicros(added.time));
    acknowledgements_.emplace(std::tuple(added.position, added.model, added.model_version,
                                         added.calibrator_version, added.slice_key, added.slice_value),
                              added);
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<Acknowledgement>> ListAcknowledgements(int64_t position) override {
    MutexLock lock(&mu_);
    if (!failure_.ok()) return failure_;
    std::vector<Acknowledgement> listed;
    for (const auto& [key, acknowledgement] : acknowledgements_) {
      if (acknowledgement.position >= position) listed.push_back(acknowledgement);
    }
    return listed;
  }

  absl::Status SaveCheckpoint(const std::string& name, const Checkpoint& checkpoint,
                              absl::Span<const CheckpointPart> parts) override {
    SavedCheckpoint saved{checkpoint, {}};
    for (const CheckpointPart& part : parts) {
      if (part.state != nullptr) saved.parts[{part.name, part.position}] = part.state();
    }
    MutexLock lock(&mu_);
    if (!failure_.ok()) return failure_;
    const SavedCheckpoint& before = checkpoints_[name];
    for (const CheckpointPart& part : parts) {
      if (part.state != nullptr) continue;
      const auto kept = before.parts.find({part.name, part.position});
      if (kept == before.parts.end()) {
        return absl::FailedPreconditionError(absl::StrCat("part ", part.name, " is not stored"));
      }
      saved.parts.insert(*kept);
    }
    checkpoints_[name] = std::move(saved);
    return absl::OkStatus();
  }

  absl::StatusOr<std::optional<Checkpoint>> LoadCheckpoint(const std::string& name) override {
    MutexLock lock(&mu_);
    if (!failure_.ok()) return failure_;
    return checkpoints_[name].head;
  }

  absl::StatusOr<std::string> LoadCheckpointPart(const std::string& name, const std::string& part,
                                                 int64_t position) override {
    MutexLock lock(&mu_);
    if (!failure_.ok()) return failure_;
    const SavedCheckpoint& saved = checkpoints_[name];
    const auto found = saved.parts.find({part, position});
    if (found == saved.parts.end()) return absl::NotFoundError(absl::StrCat("no part ", part));
    return found->second;
  }

  std::string deployment_id() const override { return "0123456789abcdef0123456789abcdef"; }

 private:
  static bool Selects(const LogSelection& s, const ScoredLabel& row) {
    const auto contains = [&](const std::vector<std::string>& sources) {
      return std::find(sources.begin(), sources.end(), row.source) != sources.end();
    };
    const TicketContent& p = row.prediction;
    return row.position > s.after_position && row.position < s.before_position &&
           (!s.model || *s.model == p.model) && (!s.model_version || *s.model_version == p.model_version) &&
           (!s.calibrator_version || *s.calibrator_version == p.calibrator_version) && row.time >= s.start &&
           row.time < s.end && (s.sources.empty() || contains(s.sources)) && !contains(s.excluded_sources) &&
           Hold(s.attributes, p.attributes);
  }

  std::vector<ScoredLabel> Select(const LogSelection& selection) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    std::vector<ScoredLabel> selected;
    for (const ScoredLabel& row : rows_) {
      if (Selects(selection, row)) selected.push_back(row);
    }
    return selected;
  }

  StoredCalibrator* Find(const std::string& model, int64_t model_version, int64_t version)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (StoredCalibrator& c : calibrators_) {
      if (c.model == model && c.model_version == model_version && c.version == version) return &c;
    }
    return nullptr;
  }

  struct SavedCheckpoint {
    std::optional<Checkpoint> head;
    std::map<std::pair<std::string, int64_t>, std::string> parts;  // name and position; state
  };

  Mutex mu_;
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
  LogHead head_ ABSL_GUARDED_BY(mu_);
  std::vector<ScoredLabel> rows_ ABSL_GUARDED_BY(mu_);
  std::map<Uuid, int32_t> labels_ ABSL_GUARDED_BY(mu_);
  std::vector<StoredCalibrator> calibrators_ ABSL_GUARDED_BY(mu_);
  std::map<std::tuple<std::string, int64_t, int64_t, int64_t>, RefitAttempt> refits_ ABSL_GUARDED_BY(mu_);
  std::map<std::pair<std::string, int64_t>, std::vector<CalibratorActivation>> activations_
      ABSL_GUARDED_BY(mu_);
  std::map<std::tuple<int64_t, std::string, int64_t, int64_t, std::string, std::string>, Acknowledgement>
      acknowledgements_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, SavedCheckpoint> checkpoints_ ABSL_GUARDED_BY(mu_);
};

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_FEEDBACK_MEMORY_STORE_H_
