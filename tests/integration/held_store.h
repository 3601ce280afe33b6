#ifndef CALSERVE_TESTS_INTEGRATION_HELD_STORE_H_
#define CALSERVE_TESTS_INTEGRATION_HELD_STORE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "server/base/mutex.h"
#include "tests/unit/feedback/forwarding_store.h"

namespace calserve::integration {

// A store whose callers wait while it is held: those of the rpcs, not the fold of the log. Thread-safe.
class HeldStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;

  // For InProcessOptions::around_store: one before the real store, which `held` then points to. `held`
  // outlives the server.
  static std::function<std::unique_ptr<Store>(Store&)> Around(HeldStore*& held) {
    return [&held](Store& store) {
      auto made = std::make_unique<HeldStore>(store);
      held = made.get();
      return made;
    };
  }

  void Hold() {
    MutexLock lock(&mu_);
    held_ = true;
  }
  void Release() {
    MutexLock lock(&mu_);
    held_ = false;
    released_.SignalAll();
  }

  // Callers that wait.
  int waiting() {
    MutexLock lock(&mu_);
    return waiting_;
  }

  absl::StatusOr<std::vector<AppendOutcome>> Append(absl::Span<ScoredLabel> labels, absl::Time now) override {
    AwaitRelease();
    return ForwardingStore::Append(labels, now);
  }
  absl::StatusOr<std::vector<ScoredLabel>> ReadNewest(const LogSelection& selection, int64_t limit) override {
    AwaitRelease();
    return ForwardingStore::ReadNewest(selection, limit);
  }
  absl::StatusOr<std::vector<StoredCalibrator>> ListCalibrators(const std::string& model) override {
    AwaitRelease();
    return ForwardingStore::ListCalibrators(model);
  }
  absl::Status ActivateCalibrator(const std::string& model, int64_t model_version, int64_t version,
                                  int64_t expected_active, absl::Time now) override {
    AwaitRelease();
    return ForwardingStore::ActivateCalibrator(model, model_version, version, expected_active, now);
  }
  absl::StatusOr<int64_t> PreviousActive(const std::string& model, int64_t model_version) override {
    AwaitRelease();
    return ForwardingStore::PreviousActive(model, model_version);
  }

 private:
  void AwaitRelease() {
    MutexLock lock(&mu_);
    ++waiting_;
    while (held_) released_.Wait(&mu_);
    --waiting_;
  }

  Mutex mu_;
  CondVar released_;
  bool held_ ABSL_GUARDED_BY(mu_) = false;
  int waiting_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace calserve::integration

#endif  // CALSERVE_TESTS_INTEGRATION_HELD_STORE_H_
