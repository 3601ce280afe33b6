#include "server/batching/batch_queue.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/base/error_info.h"

namespace calserve {
namespace {

int64_t InputBytes(const BatchTask& task) { return static_cast<int64_t>(task.input.size() * sizeof(float)); }

absl::Status NoRoom(absl::string_view unit, int64_t queued, int64_t more, int64_t most, int priority) {
  const int64_t share = ShareOfQueue(most, priority);
  const std::string of_which =
      share == most ? "" : absl::StrCat(", of which priority ", priority, " may use ", share, ",");
  return WithReason(absl::ResourceExhaustedError(
                        absl::StrCat("the batch queue holds ", queued, " of at most ", most, " ", unit,
                                     of_which, " and this request has ", more, "; retry with backoff")),
                    "QUEUE_FULL");
}

bool IsCancelled(const BatchTask& task) { return task.cancel != nullptr && task.cancel->cancelled(); }

// Before level 1: of tasks that would miss their deadline otherwise.
constexpr int kUrgent = 0;

// Why nobody waits for a task any more; OK while somebody does.
absl::Status Unwanted(const QueuedTask& queued, absl::Time now) {
  if (IsCancelled(queued.task)) {
    return absl::CancelledError("the client cancelled the request while it was queued");
  }
  const absl::Duration waited = now - queued.enqueued;
  if (queued.deadline <= now) {
    return absl::DeadlineExceededError(
        absl::StrCat("the deadline passed while the request was queued, for ", absl::FormatDuration(waited)));
  }
  if (queued.give_up > now) return absl::OkStatus();
  return WithReason(
      absl::ResourceExhaustedError(absl::StrCat("the request was queued for ", absl::FormatDuration(waited),
                                                ", as long as queue_timeout allows; retry with backoff")),
      "QUEUE_TIMEOUT");
}

}  // namespace

absl::Status BatchQueue::CheckRoom(const BatchTask& task) const {
  // Every request fits an empty queue.
  const int priority = queue_.empty() ? 1 : task.priority;
  if (task.rows > ShareOfQueue(options_.max_queue_rows, priority) - rows_) {
    return NoRoom("rows", rows_, task.rows, options_.max_queue_rows, priority);
  }
  if (InputBytes(task) > ShareOfQueue(options_.max_queue_bytes, priority) - bytes_) {
    return NoRoom("bytes", bytes_, InputBytes(task), options_.max_queue_bytes, priority);
  }
  return absl::OkStatus();
}

void BatchQueue::Push(QueuedTask task) {
  rows_ += task.task.rows;
  bytes_ += InputBytes(task.task);
  const auto behind = std::find_if(queue_.rbegin(), queue_.rend(), [&task](const QueuedTask& queued) {
                        return queued.task.priority <= task.task.priority;
                      }).base();
  queue_.insert(behind, std::move(task));
}

int BatchQueue::RowsAhead(int priority) const {
  if (options_.priority_levels == 1) return rows_;
  int rows = 0;
  for (const QueuedTask& queued : queue_) {
    if (queued.task.priority > priority) break;
    rows += queued.task.rows;
  }
  return rows;
}

std::vector<BatchCandidate> BatchQueue::Candidates(absl::Time now, absl::Duration run_time,
                                                   std::vector<DroppedTask>* dropped) {
  if (options_.priority_levels > 1) Promote(now, run_time);
  std::vector<BatchCandidate> candidates(DropUnwanted(now, options_.max_batch_size, dropped));
  for (size_t i = 0; i < candidates.size(); ++i) {
    candidates[i] = {queue_[i].task.rows, now - queue_[i].enqueued, queue_[i].deadline - now};
  }
  return candidates;
}

std::vector<QueuedTask> BatchQueue::TakeFirst(int tasks) {
  std::vector<QueuedTask> taken;
  taken.reserve(tasks);
  for (int i = 0; i < tasks; ++i) {
    rows_ -= queue_.front().task.rows;
    bytes_ -= InputBytes(queue_.front().task);
    taken.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return taken;
}

void BatchQueue::Promote(absl::Time now, absl::Duration run_time) {
  bool promoted = false;
  for (QueuedTask& queued : queue_) {
    const bool since_it_waits = !IsUrgent(queued.deadline - queued.enqueued, run_time);
    if (queued.task.priority == kUrgent || !since_it_waits || !IsUrgent(queued.deadline - now, run_time))
      continue;
    queued.task.priority = kUrgent;
    promoted = true;
  }
  if (!promoted) return;
  std::stable_sort(queue_.begin(), queue_.end(), [](const QueuedTask& a, const QueuedTask& b) {
    if (a.task.priority != b.task.priority) return a.task.priority < b.task.priority;
    return a.task.priority == kUrgent && a.deadline < b.deadline;
  });
}

absl::Time BatchQueue::Sweep(absl::Time now, absl::Duration cancel_poll, std::vector<DroppedTask>* dropped) {
  DropUnwanted(now, std::numeric_limits<int>::max(), dropped);
  absl::Time next = absl::InfiniteFuture();
  for (const QueuedTask& queued : queue_) {
    next = std::min({next, queued.deadline, queued.give_up});
    if (queued.task.cancel != nullptr) next = std::min(next, now + cancel_poll);
  }
  return next;
}

int BatchQueue::DropUnwanted(absl::Time now, int rows, std::vector<DroppedTask>* dropped) {
  size_t wanted = 0;
  size_t seen = 0;
  for (int wanted_rows = 0; seen < queue_.size() && wanted_rows < rows; ++seen) {
    QueuedTask& queued = queue_[seen];
    absl::Status why = Unwanted(queued, now);
    if (why.ok()) {
      wanted_rows += queued.task.rows;
      if (wanted != seen) queue_[wanted] = std::move(queued);
      ++wanted;
      continue;
    }
    rows_ -= queued.task.rows;
    bytes_ -= InputBytes(queued.task);
    dropped->push_back({std::move(queued.task), std::move(why)});
  }
  queue_.erase(queue_.begin() + wanted, queue_.begin() + seen);
  return static_cast<int>(wanted);
}

}  // namespace calserve
