#ifndef CALSERVE_SERVER_BATCHING_CHECK_TASK_H_
#define CALSERVE_SERVER_BATCHING_CHECK_TASK_H_

#include "absl/status/status.h"
#include "server/batching/batcher.h"

namespace calserve {

// INVALID_ARGUMENT for a task that no batch could hold: rows not in [1, max_batch_size], other input than
// theirs, or a priority as below.
absl::Status CheckTask(const BatchTask& task, const BatchingOptions& options, const BatchRunner& runner);

// INVALID_ARGUMENT with the field "priority" for one that is neither 0 nor a level.
absl::Status CheckPriority(int priority, const BatchingOptions& options);

}  // namespace calserve

#endif  // CALSERVE_SERVER_BATCHING_CHECK_TASK_H_
