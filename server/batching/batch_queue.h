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
  BatchTask task;                               // with its priority, from 1
  absl::Time enqueued;                          // This and the next two are on the batcher's monotonic clock.
  absl::Time deadline;                          // of the client
  absl::Time give_up = absl::InfiniteFuture();  // queue_timeout after `enqueued`
};

// A task that nobody waits for any more.
struct DroppedTask {
  BatchTask task;
  absl::Status why;  // CANCELLED, DEADLINE_EXCEEDED, or RESOURCE_EXHAUSTED after queue_timeout
};

// The queued tasks of a batcher in the order in which they are to run: by priority, then oldest first.
// Bounded in rows and in bytes. Not thread-safe: the batcher's lock guards it. Calls no callback.
class BatchQueue {
 public:
  explicit BatchQueue(const BatchingOptions& options) : options_(options) {}

  // RESOURCE_EXHAUSTED, naming the limit, if `task` does not fit.
  absl::Status CheckRoom(const BatchTask& task) const;
  void Push(QueuedTask task);
  // How many queued rows run before a new task of this priority.
  int RowsAhead(int priority) const;

  // The tasks of the next batch as far as they are here: at least max_batch_size rows, or all. Moves those
  // before them that are no longer wanted to `dropped`. Tasks that would miss their deadline after a batch of
  // `run_time` come first.
  std::vector<BatchCandidate> Candidates(absl::Time now, absl::Duration run_time,
                                         std::vector<DroppedTask>* dropped);
  std::vector<QueuedTask> TakeFirst(int tasks);

  // Moves every task that is no longer wanted to `dropped`; returns when to look again: at the earliest
  // deadline, or after `cancel_poll` if a task can be cancelled, which nobody signals.
  absl::Time Sweep(absl::Time now, absl::Duration cancel_poll, std::vector<DroppedTask>* dropped);

  bool empty() const { return queue_.empty(); }
  int tasks() const { return static_cast<int>(queue_.size()); }
  int rows() const { return rows_; }
  int64_t bytes() const { return bytes_; }

 private:
  // Puts tasks that have become urgent by waiting before all others, the earliest deadline first. One that
  // came with so short a deadline gains nothing by it.
  void Promote(absl::Time now, absl::Duration run_time);
  // Drops from the head until `rows` wanted rows are seen; returns how many tasks those are.
  int DropUnwanted(absl::Time now, int rows, std::vector<DroppedTask>* dropped);

  BatchingOptions options_;
  std::deque<QueuedTask> queue_;
  int rows_ = 0;
  int64_t bytes_ = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BATCHING_BATCH_QUEUE_H_
