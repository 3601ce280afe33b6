#ifndef CALSERVE_SERVER_RECALIBRATION_LOW_PRIORITY_WORKER_H_
#define CALSERVE_SERVER_RECALIBRATION_LOW_PRIORITY_WORKER_H_

#include <thread>

#include "absl/functional/any_invocable.h"
#include "server/base/bounded_queue.h"

namespace calserve {

// One thread that runs tasks in turn, from a bounded queue, at nice 10: where the cores are busy predicting
// it gets about a tenth of one, where they idle it has all of one. Thread-safe. Destruction runs what is
// queued first: tasks that should not run then must see for themselves that they need not.
class LowPriorityWorker final {
 public:
  using Task = absl::AnyInvocable<void() &&>;

  // `max_queued` tasks wait at most, beside the one that runs.
  explicit LowPriorityWorker(int max_queued);
  ~LowPriorityWorker();

  // False, with the task untouched, when the queue is full.
  bool TryRun(Task&& task) { return queue_.TryPush(std::move(task)); }

 private:
  BoundedQueue<Task> queue_;
  std::thread thread_;  // Last: joined before the queue that it reads is destroyed.
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RECALIBRATION_LOW_PRIORITY_WORKER_H_
