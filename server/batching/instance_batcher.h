#ifndef CALSERVE_SERVER_BATCHING_INSTANCE_BATCHER_H_
#define CALSERVE_SERVER_BATCHING_INSTANCE_BATCHER_H_

#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/base/monotonic_clock.h"
#include "server/base/mutex.h"
#include "server/batching/batch_admission.h"
#include "server/batching/batch_queue.h"
#include "server/batching/batcher.h"
#include "server/batching/device_turns.h"
#include "server/batching/inline_runs.h"
#include "server/batching/instance_pipeline.h"
#include "server/batching/instance_states.h"
#include "server/batching/service_times.h"

namespace calserve {

// The batcher that there is: a queue, a thread for each instance, and one that sweeps the queue.
class InstanceBatcher final : public Batcher {
 public:
  InstanceBatcher(const BatchingOptions& options, BatchRunner runner, MonotonicClock& clock)
      : options_(options),
        runner_(std::move(runner)),
        clock_(clock),
        queue_(options),
        times_(options.max_batch_size),
        instances_(options.instances),
        line_(runner_.turns, runner_.model) {
    for (int instance = 0; instance < options_.instances; ++instance) {
      pipelines_.push_back(
          std::make_unique<InstancePipeline>(runner_, clock_, options_.max_batch_size, instance));
    }
  }
  ~InstanceBatcher() override { Stop(); }

  // Returns when every instance is prepared, or with the error of one that cannot be. Throws
  // std::system_error if a thread cannot be had.
  absl::Status StartThreads() ABSL_LOCKS_EXCLUDED(mu_);

  void Schedule(BatchTask task) override;
  absl::Status CheckAdmission(BatchTask task, Arrival arrival) override ABSL_LOCKS_EXCLUDED(mu_);
  void Stop() override;
  Counters counters() const override;
  const BatchingOptions& options() const override { return options_; }

 private:
  // What an instance does next: answer the tasks that are no longer wanted, then run the batch, with its
  // turn. Either may be empty.
  struct Work {
    std::vector<DroppedTask> dropped;
    std::vector<QueuedTask> batch;
    DeviceTurns::Turn turn;
    bool needs_turn = false;  // There is a batch, and others have the device.
  };
  // What decides of a task of this moment; good while the lock is held.
  BatchAdmission Admission(absl::Time now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status CheckOpen(absl::Duration slack) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Moves from `task` only on success.
  absl::Status TryEnqueue(BatchTask& task) ABSL_LOCKS_EXCLUDED(mu_);
  void Count(absl::StatusCode without_model) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // nullopt once the batcher stops. `busy`, with a batch under way: what can be done now, without waiting. A
  // `turn` that it has already goes with the batch, or is given back.
  std::optional<Work> NextWork(int instance, bool busy, std::optional<DeviceTurns::Turn> turn)
      ABSL_LOCKS_EXCLUDED(mu_);
  // What there is for `instance` now; `wait` is how long a batch would wait for company.
  Work TakeWork(int instance, bool busy, std::optional<DeviceTurns::Turn> turn, absl::Time now,
                absl::Duration* wait) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // nullopt once the batcher stops.
  std::optional<DeviceTurns::Turn> AwaitTurn(int instance) ABSL_LOCKS_EXCLUDED(mu_);
  // The sweeper wakes at `time` at the latest.
  void SweepBy(absl::Time time) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Sleeps until there may be work or `end`. Meanwhile the instance is idle, and may be lent.
  void AwaitWork(int instance, absl::Time end) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether all that is queued is one batch that any thread may run and that takes no longer than
  // inline_limit.
  bool IsShort() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether what is queued needs no thread of an instance: this one reads requests, and runs it when it has
  // read all that are there.
  bool RunsInline() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // What is queued, as an idle instance, on the calling thread.
  void RunInline() noexcept ABSL_LOCKS_EXCLUDED(mu_);
  void Answer(int instance, FinishedBatch batch, int rows_under_way) ABSL_LOCKS_EXCLUDED(mu_);
  // Tasks that expired or were cancelled, at the next time when there may be any; nullopt as above.
  std::optional<std::vector<DroppedTask>> NextSweep() ABSL_LOCKS_EXCLUDED(mu_);

  void Prepare(int instance) ABSL_LOCKS_EXCLUDED(mu_);
  void InstanceLoop(int instance);
  void SweepLoop();

  // Constant after construction.
  const BatchingOptions options_;
  const BatchRunner runner_;
  MonotonicClock& clock_;

  const std::shared_ptr<InlineRuns> inline_runs_ = std::make_shared<InlineRuns>([this] { RunInline(); });
  // By instance; for its thread, or for the one that it is lent to.
  std::vector<std::unique_ptr<InstancePipeline>> pipelines_;

  mutable Mutex mu_;
  CondVar work_;          // For instances: a task arrived, one that was lent is back, or stopping_.
  CondVar sweep_sooner_;  // For the sweeper: sweep_at_ moved forward, or stopping_.
  CondVar instance_prepared_;
  BatchQueue queue_ ABSL_GUARDED_BY(mu_);
  absl::Time sweep_at_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  // A task that can be cancelled was queued while an instance was idle: whoever takes work next looks at it,
  // and the sweeper only at what that leaves. Else it would wake for every task and find none.
  bool unpolled_ ABSL_GUARDED_BY(mu_) = false;
  ServiceTimes times_ ABSL_GUARDED_BY(mu_);
  InstanceStates instances_ ABSL_GUARDED_BY(mu_);
  DeviceTurns::Line line_;
  Counters counters_ ABSL_GUARDED_BY(mu_);  // Without what is so now.
  // The thread that will call RunInline.
  std::optional<std::thread::id> inline_ahead_ ABSL_GUARDED_BY(mu_);
  int prepared_ ABSL_GUARDED_BY(mu_) = 0;         // instances
  absl::Status unprepared_ ABSL_GUARDED_BY(mu_);  // the error of one
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  std::vector<std::jthread>
      threads_;  // Instances, then the sweeper. Last: joined before what they read goes.
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BATCHING_INSTANCE_BATCHER_H_
