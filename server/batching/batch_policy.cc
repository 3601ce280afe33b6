#include "server/batching/batch_policy.h"

#include <algorithm>

namespace calserve {

BatchDecision DecideBatch(const BatchingOptions& options, absl::Span<const BatchCandidate> queue,
                          absl::Duration run_time) {
  if (queue.empty()) return {};
  int take = 0;
  int rows = 0;
  absl::Duration wait = options.max_queue_delay;
  for (const BatchCandidate& task : queue) {
    if (rows + task.rows > options.max_batch_size)
      return {.take = take, .wait = absl::ZeroDuration(), .full = true};
    ++take;
    rows += task.rows;
    wait = std::min({wait, options.max_queue_delay - task.waited, task.slack - run_time});
  }
  const bool full = rows == options.max_batch_size;
  if (full || wait <= absl::ZeroDuration()) {
    return {.take = take, .wait = absl::ZeroDuration(), .full = full};
  }
  return {.take = 0, .wait = wait};
}

absl::Duration EstimateCompletion(const BatchingOptions& options, int queued_rows, absl::Duration run_time) {
  const int batches_ahead = queued_rows / options.max_batch_size;
  if (batches_ahead == 0) return absl::ZeroDuration();
  return run_time * (1.0 + static_cast<double>(batches_ahead) / options.instances);
}

bool IsUrgent(absl::Duration slack, absl::Duration run_time) { return slack < 3 * run_time; }

int64_t ShareOfQueue(int64_t most, int priority) { return priority <= 1 ? most : most - most / 4; }

}  // namespace calserve
