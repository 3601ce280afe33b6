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
      CopyPieces(task.input, reinterpret_cast<char*>(model_.Staging(0).data()));
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
  absl::Status CheckAdmission(BatchTask /*task*/, Arrival arrival) override {
    MutexLock lock(&mu_);
    arrival_ = arrival;
    return in_time_;
  }
  // What it says of every later request that it is asked about.
  void Refuse(absl::Status status) {
    MutexLock lock(&mu_);
    in_time_ = std::move(status);
  }
  // When the request that it was last asked about would come.
  Arrival arrival() const {
    MutexLock lock(&mu_);
    return arrival_;
  }
  // Before the first request.
  void SetQueueTimeout(absl::Duration timeout) { options_.queue_timeout = timeout; }
  void SetPriorities(int levels, int default_priority) {
    options_.priority_levels = levels;
    options_.default_priority = default_priority;
  }
  Counters counters() const override { return {}; }
  const BatchingOptions& options() const override { return options_; }

 private:
  BatchingOptions options_;
  const int columns_;
  Mutex model_mu_;  // of its one instance
  Model& model_ ABSL_GUARDED_BY(model_mu_);
  mutable Mutex mu_;
  CondVar arrived_;
  bool held_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status in_time_ ABSL_GUARDED_BY(mu_);
  Arrival arrival_ ABSL_GUARDED_BY(mu_);
  std::deque<BatchTask> tasks_ ABSL_GUARDED_BY(mu_);
};

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_PREDICTION_PUPPET_BATCHER_H_
