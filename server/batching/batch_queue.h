#ifndef CALSERVE_SERVER_BATCHING_BATCH_QUEUE_H_
#define CALSERVE_SERVER_BATCHING_BATCH_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/base/on_cores.h"
#include "server/batching/batch_policy.h"
#include "server/batching/batcher.h"

namespace calserve {

struct QueuedTask {
  BatchTask task;                               // with its priority, from 1
  absl::Time enqueued;                          // This and the next two are on the batcher's monotonic clock.
  absl::Time deadline;                          // of the client
  absl::Time give_up = absl::InfiniteFuture();  // queue_timeout after it was received
  OnCores on_cores = OnCores(/*counted=*/false);
};

// A task that nobody waits for any more.
struct DroppedTask {
  BatchTask task;
  absl::Status why;  // CANCELLED, DEADLINE_EXCEEDED, or RESOURCE_EXHAUSTED after queue_timeout
};

// Where a new task would go into the queue: behind the first `behind` tasks and, of those after them, behind
// the ones at `kept_before` (rising), which could not wait for it.
struct QueuePlace {
  size_t behind = 0;
  std::vector<size_t> kept_before;
  int rows_ahead = 0;
};

// The queued tasks of a batcher in the order in which they are to run: by priority, then oldest first; but a
// task goes before those of lower levels only while they still begin in time behind it. So no deadline that
// was kept by the order of the queue is lost to what comes later. A task that is kept before a newcomer goes
// before those of its level that are not. Bounded in rows and in bytes. Not thread-safe: the batcher's lock
// guards it. Calls no callback.
class BatchQueue {
 public:
  explicit BatchQueue(const BatchingOptions& options) : options_(options) {}

  // RESOURCE_EXHAUSTED, naming the limit, if `task` does not fit.
  absl::Status CheckRoom(const BatchTask& task) const;
  // The same of `rows` rows whose input is not there yet, once `rows_gone` of those queued now have left.
  absl::Status CheckRoomLater(int rows, int priority, int64_t rows_gone) const;
  // `waits`: until a batch of this queue begins; without a measurement only the levels count. Costs a step
  // for each queued task if there is one of a lower level.
  QueuePlace FindPlace(const BatchTask& task, absl::Time now, WaitTable& waits) const;
  // `place` as FindPlace gave it, the queue unchanged since.
  void Push(QueuedTask task, const QueuePlace& place);

  // The tasks of the next batch as far as they are here: at least max_batch_size rows, or all. Moves those
  // before them that are no longer wanted to `dropped`.
  std::vector<BatchCandidate> Candidates(absl::Time now, std::vector<DroppedTask>* dropped);
  std::vector<QueuedTask> TakeFirst(int tasks);

  // Moves every task that is no longer wanted to `dropped`; returns when to look again: at the earliest
  // deadline, or after `cancel_poll` if a task can be cancelled, which nobody signals.
  absl::Time Sweep(absl::Time now, absl::Duration cancel_poll, std::vector<DroppedTask>* dropped);

  bool empty() const { return queue_.empty(); }
  int tasks() const { return static_cast<int>(queue_.size()); }
  int rows() const { return rows_; }
  int64_t bytes() const { return bytes_; }

 private:
  // Beside so much, of which the first task counts as one of level 1: every request fits an empty queue.
  absl::Status CheckRoomBeside(int64_t queued_rows, int64_t queued_bytes, int rows, int64_t bytes,
                               int priority) const;
  // For each task, how many batches run before its own: whole tasks, as many as fit.
  std::vector<int> BatchesAhead() const;
  // Drops from the head until `rows` wanted rows are seen; returns how many tasks those are.
  int DropUnwanted(absl::Time now, int rows, std::vector<DroppedTask>* dropped);

  BatchingOptions options_;
  std::deque<QueuedTask> queue_;
  int rows_ = 0;
  int64_t bytes_ = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BATCHING_BATCH_QUEUE_H_
