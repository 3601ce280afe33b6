#ifndef CALSERVE_TESTS_UNIT_PREDICTION_PUPPET_BATCHER_H_
#define CALSERVE_TESTS_UNIT_PREDICTION_PUPPET_BATCHER_H_

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "server/base/mutex.h"
#include "server/batching/batcher.h"
#include "server/model/model.h"

namespace calserve {

// A batcher without a thread: runs a task at once on the thread that schedules it, or, after Hold, when told.
// Each task is a batch and reports the times that it is given. Thread-safe.
class PuppetBatcher final : public Batcher {
 public:
  // `model` outlives the batcher.
  explicit PuppetBatcher(Model& model) : columns_(model.columns()), model_(model) {}

  void Hold() {
    MutexLock lock(&mu_);
    held_ = true;
  }
  // The oldest held task; waits for one.
  BatchTask Take() {
    MutexLock lock(&mu_);
    while (tasks_.empty()) arrived_.Wait(&mu_);
    BatchTask task = std::move(tasks_.front());
    tasks_.pop_front();
    return task;
  }
  void Run(BatchTask task, absl::Duration queued = {}, absl::Duration ran = {}) {
    absl::Status status;
    BatchResult result{std::vector<float>(static_cast<size_t>(task.rows) * columns_), queued, ran};
    {
      MutexLock lock(&model_mu_);
      std::copy(task.input.begin(), task.input.end(), model_.Staging(0).begin());
      status = model_.Run(0, task.rows, absl::MakeSpan(result.logits));
    }
    std::move(task.done)(status.ok() ? absl::StatusOr<BatchResult>(std::move(result)) : status);
  }

  void Schedule(BatchTask task) override {
    {
      MutexLock lock(&mu_);
      if (held_) {
        tasks_.push_back(std::move(task));
        arrived_.SignalAll();
        return;
      }
    }
    Run(std::move(task));
  }
  Counters counters() const override { return {}; }
  const BatchingOptions& options() const override { return options_; }

 private:
  const BatchingOptions options_;
  const int columns_;
  Mutex model_mu_;  // of its one instance
  Model& model_ ABSL_GUARDED_BY(model_mu_);
  Mutex mu_;
  CondVar arrived_;
  bool held_ ABSL_GUARDED_BY(mu_) = false;
  std::deque<BatchTask> tasks_ ABSL_GUARDED_BY(mu_);
};

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_PREDICTION_PUPPET_BATCHER_H_
