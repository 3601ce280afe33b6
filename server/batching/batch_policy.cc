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

absl::Duration EstimateWait(int batches_ahead, BusyTimes busy_for, absl::Duration period) {
  std::sort(busy_for.begin(), busy_for.end());
  if (period <= absl::ZeroDuration()) return busy_for.front();
  // The instance that is free first takes the next batch, until they are less than a batch apart: then each
  // takes one in turn.
  for (; batches_ahead > 0 && busy_for.back() - busy_for.front() >= period; --batches_ahead) {
    busy_for.front() += period;
    std::sort(busy_for.begin(), busy_for.end());
  }
  const int instances = static_cast<int>(busy_for.size());
  return busy_for[batches_ahead % instances] + batches_ahead / instances * period;
}

absl::Duration WaitTable::operator()(int batches_ahead) {
  while (static_cast<int>(waits_.size()) <= batches_ahead) {
    absl::Duration& first_free = *std::min_element(busy_for_.begin(), busy_for_.end());
    waits_.push_back(first_free);
    first_free += full_batch_.period();
  }
  return waits_[batches_ahead];
}

int MostBatches(int tasks, int rows, int max_batch_size) {
  return std::min(tasks, 2 * rows / (max_batch_size + 1) + 1);
}

int64_t ShareOfQueue(int64_t most, int priority) { return priority <= 1 ? most : most - most / 4; }

absl::Duration ShareOfTime(absl::Duration most, int priority) {
  return priority <= 1 || most == absl::InfiniteDuration() ? most : most - most / 4;
}

}  // namespace calserve
