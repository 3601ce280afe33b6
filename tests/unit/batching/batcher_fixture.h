#ifndef CALSERVE_TESTS_UNIT_BATCHING_BATCHER_FIXTURE_H_
#define CALSERVE_TESTS_UNIT_BATCHING_BATCHER_FIXTURE_H_

#include <atomic>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/base/monotonic_clock.h"
#include "server/base/mutex.h"
#include "server/batching/batcher.h"
#include "tests/unit/batching/puppet_model.h"

namespace calserve {

// One task's answers, of which there must be one. Thread-safe.
class Answer {
 public:
  void Give(absl::StatusOr<BatchResult> result) {
    MutexLock lock(&mu_);
    ++times_;
    result_ = std::move(result);
    given_.SignalAll();
  }
  absl::StatusOr<BatchResult> Await() {
    MutexLock lock(&mu_);
    while (times_ == 0) given_.Wait(&mu_);
    return result_;
  }
  int times() const {
    MutexLock lock(&mu_);
    return times_;
  }

 private:
  mutable Mutex mu_;
  CondVar given_;
  int times_ ABSL_GUARDED_BY(mu_) = 0;
  absl::StatusOr<BatchResult> result_ ABSL_GUARDED_BY(mu_);
};

// A batcher of a puppet model on a manual clock, by default of one instance.
class BatcherTest : public ::testing::Test {
 protected:
  BatcherTest() {
    options_.max_batch_size = 4;
    options_.max_queue_rows = 8;
  }

  // What the batcher is given.
  virtual MonotonicClock& clock() { return clock_; }

  void Start() {
    model_ = std::make_unique<PuppetModel>(options_.instances, options_.max_batch_size);
    BatchRunner runner = model_->Runner();
    runner.any_thread = [this] { return any_thread_.load(); };
    runner.on_device = on_device_;
    absl::StatusOr<std::unique_ptr<Batcher>> batcher = Batcher::Create(options_, std::move(runner), clock());
    ASSERT_TRUE(batcher.ok()) << batcher.status();
    batcher_ = *std::move(batcher);
  }

  struct TaskOptions {
    absl::Duration deadline_in = absl::InfiniteDuration();
    std::shared_ptr<const CancelFlag> cancel;
    int priority = 0;
    absl::Duration waited;
  };

  // A task of `rows` rows with the values first, first + 1, ...
  std::shared_ptr<Answer> Submit(int rows, float first = 0) { return Submit(rows, first, TaskOptions()); }
  std::shared_ptr<Answer> Submit(int rows, float first, TaskOptions task_options) {
    auto answer = std::make_shared<Answer>();
    BatchTask task;
    task.rows = rows;
    auto values = std::make_shared<std::vector<float>>(rows);
    std::iota(values->begin(), values->end(), first);
    for (const float& value : *values) task.input.push_back(BytesOf({&value, 1}));
    task.deadline = absl::Now() + task_options.deadline_in;
    task.waited = task_options.waited;
    task.cancel = std::move(task_options.cancel);
    task.priority = task_options.priority;
    task.done = [answer, values](absl::StatusOr<BatchResult> result) { answer->Give(std::move(result)); };
    batcher_->Schedule(std::move(task));
    return answer;
  }

  // Occupies one instance; what is submitted after this stays queued until FinishOne.
  std::shared_ptr<Answer> OccupyAnInstance() {
    const size_t before = model_->batch_sizes().size();
    std::shared_ptr<Answer> answer = Submit(1, -1);
    model_->AwaitBatches(before + 1);
    return answer;
  }

  // Lets an instance that is free learn that a batch of 1 row takes so long.
  void MeasureABatch(absl::Duration ran) {
    std::shared_ptr<Answer> measured = OccupyAnInstance();
    clock_.Advance(ran);
    model_->FinishOne();
    EXPECT_TRUE(measured->Await().ok());
  }

  static absl::StatusCode CodeOf(const std::shared_ptr<Answer>& answer) {
    return answer->Await().status().code();
  }

  ManualMonotonicClock clock_;
  BatchingOptions options_;
  std::atomic<bool> any_thread_ = true;  // of the runner
  bool on_device_ = false;               // of the runner, before Start
  std::unique_ptr<PuppetModel> model_;
  std::unique_ptr<Batcher> batcher_;
};

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_BATCHING_BATCHER_FIXTURE_H_
