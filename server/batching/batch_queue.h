#ifndef CALSERVE_SERVER_BATCHING_BATCH_QUEUE_H_
#define CALSERVE_SERVER_BATCHING_BATCH_QUEUE_H_

#include <cstdint>
#include <deque>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/batching/batch_policy.h"
#include "server/batching/batcher.h"

namespace calserve {

struct QueuedTask {
  BatchTask task;
  absl::Time enqueued;  // This and the deadline are on the batcher's monotonic clock.
  absl::Time deadline;
};

// A task that nobody waits for any more.
struct DroppedTask {
  BatchTask task;
  absl::Status why;  // CANCELLED or DEADLINE_EXCEEDED
};

// The queued tasks of a batcher, oldest first, bounded in rows and in bytes. Not thread-safe: the batcher's
// lock guards it. Calls no callback.
class BatchQueue {
 public:
  explicit BatchQueue(const BatchingOptions& options) : options_(options) {}

  // RESOURCE_EXHAUSTED, naming the limit, if `task` does not fit.
  absl::Status CheckRoom(const BatchTask& task) const;
  void Push(QueuedTask task);

  // The tasks of the next batch as far as they are here: at least max_batch_size rows, or all. Moves those
  // before them that are no longer wanted to `dropped`.
  std::vector<BatchCandidate> Candidates(absl::Time now, std::vector<DroppedTask>* dropped);
  std::vector<QueuedTask> TakeOldest(int tasks);

  // Moves every task that is no longer wanted to `dropped`; returns when to look again: at the earliest
  // deadline, or after `cancel_poll` if a task can be cancelled, which nobody signals.
  absl::Time Sweep(absl::Time now, absl::Duration cancel_poll, std::vector<DroppedTask>* dropped);

  bool empty() const { return queue_.empty(); }
  int tasks() const { return static_cast<int>(queue_.size()); }
  int rows() const { return rows_; }

 private:
  // Drops from the head until `rows` wanted rows are seen; returns how many tasks those are.
  int DropUnwanted(absl::Time now, int rows, std::vector<DroppedTask>* dropped);

  const BatchingOptions options_;
  std::deque<QueuedTask> queue_;
  int rows_ = 0;
  int64_t bytes_ = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BATCHING_BATCH_QUEUE_H_
