#ifndef CALSERVE_SERVER_BATCHING_BATCH_ADMISSION_H_
#define CALSERVE_SERVER_BATCHING_BATCH_ADMISSION_H_

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/batching/batch_policy.h"
#include "server/batching/batch_queue.h"
#include "server/batching/batcher.h"
#include "server/batching/service_times.h"

namespace calserve {

// What a batcher takes on at one moment: a task that fits the queue and that, by the measured service times,
// begins within queue_timeout and is done within its deadline. Not thread-safe; good while what it is made of
// is unchanged.
class BatchAdmission final {
 public:
  // What is given by reference outlives this.
  BatchAdmission(const BatchingOptions& options, const BatchQueue& queue, const ServiceTimes& times,
                 BusyTimes busy_for, absl::Time now)
      : options_(options), queue_(queue), times_(times), busy_for_(std::move(busy_for)), now_(now) {}

  // Where in the queue a task goes whose deadline is in `slack`. RESOURCE_EXHAUSTED with RetryInfo:
  // QUEUE_FULL, QUEUE_TIMEOUT or DEADLINE_UNREACHABLE.
  absl::StatusOr<QueuePlace> Admit(const BatchTask& task, absl::Duration slack) const;
  // Whether a task that comes later, and whose input is not there yet, would be let in. As Admit.
  absl::Status CheckAdmission(const BatchTask& task, absl::Duration slack, Arrival arrival) const;

 private:
  QueuePlace FindPlace(const BatchTask& task) const;
  FullBatch ExpectedBatch() const;
  // A high estimate of how many of the queued rows are in batches after so long, as if no other model had the
  // device; all, where nothing is measured.
  int64_t RowsGoneIn(absl::Duration time) const;
  // A low estimate of the time until a batch begins that has `rows_ahead` rows queued before it.
  absl::Duration ExpectedWait(int rows_ahead) const;
  absl::Status CheckTimes(const BatchTask& task, int rows_ahead, absl::Duration slack,
                          absl::Duration arrives_in) const;

  const BatchingOptions& options_;
  const BatchQueue& queue_;
  const ServiceTimes& times_;
  const BusyTimes busy_for_;
  const absl::Time now_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BATCHING_BATCH_ADMISSION_H_
