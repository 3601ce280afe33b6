#ifndef CALSERVE_SERVER_BATCHING_BATCH_POLICY_H_
#define CALSERVE_SERVER_BATCHING_BATCH_POLICY_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/batching/batcher.h"

namespace calserve {

// The batcher's decisions as pure functions: no clock, no threads. `run_time` is how long a batch takes as
// measured, zero while there is no measurement.

// A queued task that is still wanted.
struct BatchCandidate {
  int rows = 0;
  absl::Duration waited;                            // since Schedule
  absl::Duration slack = absl::InfiniteDuration();  // until its deadline or queue_timeout
};

// Take the first `take` tasks now; or, where that is 0, decide again after `wait` or when a task arrives.
struct BatchDecision {
  int take = 0;
  absl::Duration wait = absl::InfiniteDuration();
  bool full = false;  // nothing that arrives can join the batch
};

// The batch is the longest run of whole tasks from the head of `queue` (in the order in which they run) that
// max_batch_size holds. It is due when it cannot grow, when its oldest task has waited max_queue_delay, or
// when waiting longer would cost a task of it its deadline.
BatchDecision DecideBatch(const BatchingOptions& options, absl::Span<const BatchCandidate> queue,
                          absl::Duration run_time);

// How much longer each instance is expected to compute; zero of one that is idle.
using BusyTimes = absl::InlinedVector<absl::Duration, 4>;

// How long a batch of max_batch_size rows takes, as measured.
struct FullBatch {
  absl::Duration run;
  absl::Duration turn;  // before it, waited for the device

  absl::Duration period() const { return turn + run; }
};

// A low estimate of how long a task that is queued now waits for its batch to begin, with so many full
// batches queued before it, each of which takes `period` of an instance.
absl::Duration EstimateWait(int batches_ahead, BusyTimes busy_for, absl::Duration period);

// The same for one number of batches after another, when each costs a look into a table. Grows with the
// largest number asked for. Not thread-safe.
class WaitTable {
 public:
  WaitTable(BusyTimes busy_for, FullBatch full_batch)
      : busy_for_(std::move(busy_for)), full_batch_(full_batch) {}

  absl::Duration operator()(int batches_ahead);
  // How long a batch runs; zero without a measurement.
  absl::Duration run() const { return full_batch_.run; }

 private:
  BusyTimes busy_for_;  // after the batches of waits_
  const FullBatch full_batch_;
  std::vector<absl::Duration> waits_;
};

// How many batches `tasks` tasks of together `rows` rows fill at most, however their rows fall: what two
// neighbouring batches hold is more than one could.
int MostBatches(int tasks, int rows, int max_batch_size);

// The level of a request that asks for `priority`; 0: it names none.
inline int LevelOf(int priority, const BatchingOptions& options) {
  return priority == 0 ? options.default_priority : priority;
}

// How much of a queue that holds `most`, and of the time until a deadline, what is of level `priority` (1:
// the most urgent) may fill: a quarter is kept for level 1.
int64_t ShareOfQueue(int64_t most, int priority);
absl::Duration ShareOfTime(absl::Duration most, int priority);

}  // namespace calserve

#endif  // CALSERVE_SERVER_BATCHING_BATCH_POLICY_H_
