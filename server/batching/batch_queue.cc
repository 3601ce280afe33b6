#include "server/batching/batch_queue.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/base/error_info.h"

namespace calserve {
namespace {

int64_t InputBytes(const BatchTask& task) { return static_cast<int64_t>(SizeOf(task.input)); }

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

// Why nobody waits for a task any more; OK while somebody does.
absl::Status Unwanted(const QueuedTask& queued, absl::Time now) {
  if (IsCancelled(queued.task)) {
    return absl::CancelledError("the client cancelled the request while it was queued");
  }
  const absl::Duration waited = now - queued.enqueued + queued.task.waited;
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
  return CheckRoomBeside(rows_, bytes_, task.rows, InputBytes(task), task.priority);
}

absl::Status BatchQueue::CheckRoomLater(int rows, int priority, int64_t rows_gone) const {
  const int64_t row_bytes = rows_ > 0 ? bytes_ / rows_ : 0;  // All have as many.
  const int64_t left = std::max<int64_t>(rows_ - rows_gone, 0);
  return CheckRoomBeside(left, left * row_bytes, rows, rows * row_bytes, priority);
}

absl::Status BatchQueue::CheckRoomBeside(int64_t queued_rows, int64_t queued_bytes, int rows, int64_t bytes,
                                         int priority) const {
  if (queued_rows == 0) priority = 1;
  if (rows > ShareOfQueue(options_.max_queue_rows, priority) - queued_rows) {
    return NoRoom("rows", queued_rows, rows, options_.max_queue_rows, priority);
  }
  if (bytes > ShareOfQueue(options_.max_queue_bytes, priority) - queued_bytes) {
    return NoRoom("bytes", queued_bytes, bytes, options_.max_queue_bytes, priority);
  }
  return absl::OkStatus();
}

QueuePlace BatchQueue::FindPlace(const BatchTask& task, absl::Time now, WaitTable& waits) const {
  const auto behind = std::find_if(queue_.rbegin(), queue_.rend(), [&task](const QueuedTask& queued) {
                        return queued.task.priority <= task.priority;
                      }).base();
  QueuePlace place{.behind = static_cast<size_t>(behind - queue_.begin()), .rows_ahead = rows_};
  for (auto queued = behind; queued != queue_.end(); ++queued) place.rows_ahead -= queued->task.rows;
  if (behind == queue_.end() || waits.run() <= absl::ZeroDuration()) return place;

  // From the last forwards: what has to stay before the new task delays those that were before it.
  const std::vector<int> batches_ahead = BatchesAhead();
  int tasks = 1, rows = task.rows;
  for (size_t i = queue_.size(); i-- > place.behind;) {
    const QueuedTask& queued = queue_[i];
    // One more where what comes in parts a batch.
    const int later = batches_ahead[i] + 1 + MostBatches(tasks, rows, options_.max_batch_size);
    const absl::Time begin_by = std::min(queued.deadline - waits.run(), queued.give_up);
    if (begin_by == absl::InfiniteFuture() || now + waits(later) < begin_by) continue;
    place.kept_before.push_back(i);
    place.rows_ahead += queued.task.rows;
    ++tasks;
    rows += queued.task.rows;
  }
  std::reverse(place.kept_before.begin(), place.kept_before.end());
  return place;
}

std::vector<int> BatchQueue::BatchesAhead() const {
  std::vector<int> ahead;
  ahead.reserve(queue_.size());
  int batches = 0, rows = 0;
  for (const QueuedTask& queued : queue_) {
    rows += queued.task.rows;
    if (rows > options_.max_batch_size) {
      ++batches;
      rows = queued.task.rows;
    }
    ahead.push_back(batches);
  }
  return ahead;
}

void BatchQueue::Push(QueuedTask task, const QueuePlace& place) {
  rows_ += task.task.rows;
  bytes_ += InputBytes(task.task);
  size_t position = place.behind;
  std::vector<QueuedTask> overtaken;  // of those between the kept ones
  for (size_t i = position; position - place.behind < place.kept_before.size(); ++i) {
    if (i != place.kept_before[position - place.behind]) {
      overtaken.push_back(std::move(queue_[i]));
      continue;
    }
    if (position != i) queue_[position] = std::move(queue_[i]);
    ++position;
  }
  std::move(overtaken.begin(), overtaken.end(), queue_.begin() + position);
  queue_.insert(queue_.begin() + position, std::move(task));
}

std::vector<BatchCandidate> BatchQueue::Candidates(absl::Time now, std::vector<DroppedTask>* dropped) {
  std::vector<BatchCandidate> candidates(DropUnwanted(now, options_.max_batch_size, dropped));
  for (size_t i = 0; i < candidates.size(); ++i) {
    candidates[i] = {queue_[i].task.rows, now - queue_[i].enqueued,
                     std::min(queue_[i].deadline, queue_[i].give_up) - now};
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
