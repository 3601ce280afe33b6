#include "server/batching/batch_policy.h"

#include <algorithm>
#include <vector>

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

absl::Duration EstimateWait(int batches_ahead, std::vector<absl::Duration> busy_for,
                            absl::Duration full_batch) {
  std::sort(busy_for.begin(), busy_for.end());
  if (full_batch <= absl::ZeroDuration()) return busy_for.front();
  // The instance that is free first takes the next batch, until they are less than a batch apart: then each
  // takes one in turn.
  for (; batches_ahead > 0 && busy_for.back() - busy_for.front() >= full_batch; --batches_ahead) {
    busy_for.front() += full_batch;
    std::sort(busy_for.begin(), busy_for.end());
  }
  const int instances = static_cast<int>(busy_for.size());
  return busy_for[batches_ahead % instances] + batches_ahead / instances * full_batch;
}

bool IsUrgent(absl::Duration slack, absl::Duration run_time) { return slack < 3 * run_time; }

int64_t ShareOfQueue(int64_t most, int priority) { return priority <= 1 ? most : most - most / 4; }

}  // namespace calserve
