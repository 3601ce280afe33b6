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

absl::Status NoRoom(absl::string_view unit, int64_t queued, int64_t more, int64_t limit) {
  return WithReason(absl::ResourceExhaustedError(
                        absl::StrCat("the batch queue holds ", queued, " of at most ", limit, " ", unit,
                                     " and this request has ", more, "; retry with backoff")),
                    "QUEUE_FULL");
}

bool IsCancelled(const BatchTask& task) { return task.cancel != nullptr && task.cancel->cancelled(); }

}  // namespace

absl::Status BatchQueue::CheckRoom(const BatchTask& task) const {
  if (task.rows > options_.max_queue_rows - rows_)
    return NoRoom("rows", rows_, task.rows, options_.max_queue_rows);
  if (InputBytes(task) > options_.max_queue_bytes - bytes_) {
    return NoRoom("bytes", bytes_, InputBytes(task), options_.max_queue_bytes);
  }
  return absl::OkStatus();
}

void BatchQueue::Push(QueuedTask task) {
  rows_ += task.task.rows;
  bytes_ += InputBytes(task.task);
  queue_.push_back(std::move(task));
}

std::vector<BatchCandidate> BatchQueue::Candidates(absl::Time now, std::vector<DroppedTask>* dropped) {
  std::vector<BatchCandidate> candidates(DropUnwanted(now, options_.max_batch_size, dropped));
  for (size_t i = 0; i < candidates.size(); ++i) {
    candidates[i] = {queue_[i].task.rows, now - queue_[i].enqueued, queue_[i].deadline - now};
  }
  return candidates;
}

std::vector<QueuedTask> BatchQueue::TakeOldest(int tasks) {
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

absl::Time BatchQueue::Sweep(absl::Time now, absl::Duration cancel_poll, std::vector<DroppedTask>* dropped) {
  DropUnwanted(now, std::numeric_limits<int>::max(), dropped);
  absl::Time next = absl::InfiniteFuture();
  for (const QueuedTask& queued : queue_) {
    next = std::min(
        next, queued.task.cancel == nullptr ? queued.deadline : std::min(queued.deadline, now + cancel_poll));
  }
  return next;
}

int BatchQueue::DropUnwanted(absl::Time now, int rows, std::vector<DroppedTask>* dropped) {
  size_t wanted = 0;
  size_t seen = 0;
  for (int wanted_rows = 0; seen < queue_.size() && wanted_rows < rows; ++seen) {
    QueuedTask& queued = queue_[seen];
    const bool cancelled = IsCancelled(queued.task);
    if (!cancelled && queued.deadline > now) {
      wanted_rows += queued.task.rows;
      if (wanted != seen) queue_[wanted] = std::move(queued);
      ++wanted;
      continue;
    }
    rows_ -= queued.task.rows;
    bytes_ -= InputBytes(queued.task);
    absl::Status why = cancelled
                           ? absl::CancelledError("the client cancelled the request while it was queued")
                           : absl::DeadlineExceededError(
                                 absl::StrCat("the deadline passed while the request was queued, for ",
                                              absl::FormatDuration(now - queued.enqueued)));
    dropped->push_back({std::move(queued.task), std::move(why)});
  }
  queue_.erase(queue_.begin() + wanted, queue_.begin() + seen);
  return static_cast<int>(wanted);
}

}  // namespace calserve
