#ifndef CALSERVE_SERVER_BATCHING_INSTANCE_PIPELINE_H_
#define CALSERVE_SERVER_BATCHING_INSTANCE_PIPELINE_H_

#include <deque>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/batching/batch_queue.h"
#include "server/batching/batcher.h"
#include "server/batching/device_turns.h"

namespace calserve {

// A batch that the model has answered, and what to tell each of its tasks.
struct FinishedBatch {
  std::vector<QueuedTask> tasks;
  std::vector<absl::StatusOr<BatchResult>> results;  // one a task
  int rows = 0;
  int failed = 0;         // tasks
  absl::Duration ran;     // what this batch added to the instance's time
  bool complete = false;  // the model did all of it, whatever it made of it
};

// The batches that one instance has under way. With two slots the second is copied to the device while it
// computes the first. For one thread at a time. What the model throws is an error of its batch.
class InstancePipeline final {
 public:
  // `runner` and `clock` outlive it.
  InstancePipeline(const BatchRunner& runner, const MonotonicClock& clock, int max_batch_size, int instance);

  // What its first batch would have to wait for.
  absl::Status Prepare();

  bool empty() const { return under_way_.empty(); }
  int rows_of_oldest() const { return empty() ? 0 : under_way_.front().rows; }
  bool full() const { return static_cast<int>(under_way_.size()) >= runner_.slots; }

  // Only while it is not full. Keeps `turn` until the batch has run.
  void Start(std::vector<QueuedTask> tasks, DeviceTurns::Turn turn);
  // The oldest, once it is done; only while it is not empty.
  FinishedBatch Finish();

 private:
  struct Started {
    std::vector<QueuedTask> tasks;
    int rows = 0;
    int slot = 0;
    absl::Time at;
    absl::Status status;  // of starting it
    DeviceTurns::Turn turn;
  };

  const BatchRunner& runner_;
  const MonotonicClock& clock_;
  const int instance_;
  std::vector<float> logits_;  // of the batch that is being finished
  std::deque<Started> under_way_;
  int next_slot_ = 0;
  absl::Time last_finished_ = absl::InfinitePast();
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BATCHING_INSTANCE_PIPELINE_H_
