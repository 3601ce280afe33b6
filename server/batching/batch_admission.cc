#include "server/batching/batch_admission.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/batching/batch_policy.h"

namespace calserve {
namespace {

// A task is refused that would wait longer than queue_timeout if what is before it took so many mean
// deviations longer than expected: few that were let in are then told no only after queue_timeout.
constexpr double kSpreadsOfTimeout = 2;

absl::Duration RetryAfter(absl::Duration wait) { return std::max(wait, absl::Milliseconds(1)); }

absl::Status WaitedTooLong(absl::Duration waited, absl::Duration queue_timeout) {
  return WithReason(
      absl::ResourceExhaustedError(absl::StrCat(
          "the request waited for its decoding, and was decoded, for ", absl::FormatDuration(waited),
          ", longer than queue_timeout (", absl::FormatDuration(queue_timeout),
          ") allows; retry with backoff, or raise it where decoding alone takes as long")),
      "QUEUE_TIMEOUT");
}

absl::Status WouldTimeOut(int rows_ahead, absl::Duration wait) {
  return WithReason(
      absl::ResourceExhaustedError(absl::StrCat(
          "what runs and the ", rows_ahead, " rows queued before need about ", absl::FormatDuration(wait),
          " and may need longer than queue_timeout; retry with backoff")),
      "QUEUE_TIMEOUT");
}

}  // namespace

absl::StatusOr<QueuePlace> BatchAdmission::Admit(const BatchTask& task, absl::Duration slack) const {
  QueuePlace place = FindPlace(task);
  if (absl::Status room = queue_.CheckRoom(task); !room.ok())
    return WithRetryAfter(std::move(room), RetryAfter(ExpectedWait(place.rows_ahead)));
  RETURN_IF_ERROR(CheckTimes(task, place.rows_ahead, slack, absl::ZeroDuration()));
  return place;
}

absl::Status BatchAdmission::CheckAdmission(const BatchTask& task, absl::Duration slack,
                                            Arrival arrival) const {
  const int rows_ahead = FindPlace(task).rows_ahead;
  if (absl::Status room = queue_.CheckRoomLater(task.rows, task.priority, RowsGoneIn(arrival.at_most));
      !room.ok())
    return WithRetryAfter(std::move(room), RetryAfter(ExpectedWait(rows_ahead)));
  return CheckTimes(task, rows_ahead, slack, arrival.at_least);
}

int64_t BatchAdmission::RowsGoneIn(absl::Duration time) const {
  if (time == absl::ZeroDuration()) return 0;
  const absl::Duration run = times_.Expected(options_.max_batch_size);
  if (run == absl::ZeroDuration()) return queue_.rows();
  int64_t batches = 0;
  for (const absl::Duration busy_for : busy_for_) {
    if (busy_for <= time) batches += 1 + static_cast<int64_t>((time - busy_for) / run);
  }
  return batches * options_.max_batch_size;
}

QueuePlace BatchAdmission::FindPlace(const BatchTask& task) const {
  // Those that are overtaken must begin in time also when batches take longer.
  FullBatch slow = ExpectedBatch();
  slow.run *= 1 + times_.spread();
  WaitTable waits(busy_for_, slow);
  return queue_.FindPlace(task, now_, waits);
}

FullBatch BatchAdmission::ExpectedBatch() const {
  return {.run = times_.Expected(options_.max_batch_size), .turn = times_.turn_wait()};
}

absl::Duration BatchAdmission::ExpectedWait(int rows_ahead) const {
  return EstimateWait(rows_ahead / options_.max_batch_size, busy_for_, ExpectedBatch().period());
}

absl::Status BatchAdmission::CheckTimes(const BatchTask& task, int rows_ahead, absl::Duration slack,
                                        absl::Duration arrives_in) const {
  const absl::Duration queue_wait = ExpectedWait(rows_ahead);
  const absl::Duration wait = std::max(queue_wait, arrives_in);
  const int share_of = queue_.empty() ? 1 : task.priority;
  if (options_.queue_timeout > absl::ZeroDuration()) {
    if (task.waited >= options_.queue_timeout) {
      return WithRetryAfter(WaitedTooLong(task.waited, options_.queue_timeout), RetryAfter(wait));
    }
    const absl::Duration longest =
        std::max(queue_wait * (1 + kSpreadsOfTimeout * times_.spread()), arrives_in) + task.waited;
    if (wait > absl::ZeroDuration() && longest > ShareOfTime(options_.queue_timeout, share_of)) {
      return WithRetryAfter(WouldTimeOut(rows_ahead, wait), RetryAfter(wait));
    }
  }
  // What begins at once is never refused for what was measured: so a measurement that has become wrong is
  // soon replaced.
  if (wait == absl::ZeroDuration()) return absl::OkStatus();
  const int rows = std::min(rows_ahead % options_.max_batch_size + task.rows, options_.max_batch_size);
  const absl::Duration done = wait + times_.Expected(rows);
  const absl::Duration share = ShareOfTime(slack, share_of);
  if (done <= share) return absl::OkStatus();
  const std::string of_which = share == slack ? ""
                                              : absl::StrCat(", of which priority ", task.priority,
                                                             " may use ", absl::FormatDuration(share), ",");
  absl::Status late = absl::ResourceExhaustedError(absl::StrCat(
      "the deadline is in ", absl::FormatDuration(slack), of_which, " and ",
      arrives_in > absl::ZeroDuration() ? "its decoding, " : "", "what runs and the ", rows_ahead,
      " rows queued before need about ", absl::FormatDuration(done), "; retry with backoff"));
  return WithRetryAfter(WithReason(std::move(late), "DEADLINE_UNREACHABLE"), RetryAfter(wait));
}

}  // namespace calserve
