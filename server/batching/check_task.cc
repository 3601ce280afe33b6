#include "server/batching/check_task.h"

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "server/base/byte_pieces.h"
#include "server/base/error_info.h"

namespace calserve {

absl::Status CheckTask(const BatchTask& task, const BatchingOptions& options, const BatchRunner& runner) {
  if (task.rows < 1 || task.rows > options.max_batch_size) {
    return absl::InvalidArgumentError(
        absl::StrCat("a request has 1 to ", options.max_batch_size, " rows; this one has ", task.rows));
  }
  const size_t bytes = static_cast<size_t>(task.rows) * static_cast<size_t>(runner.row_size) * sizeof(float);
  if (const size_t got = SizeOf(task.input); got != bytes) {
    return absl::InvalidArgumentError(absl::StrCat("a task of ", task.rows, " rows of ", runner.row_size,
                                                   " values takes ", bytes, " bytes; this one has ", got));
  }
  return CheckPriority(task.priority, options);
}

absl::Status CheckPriority(int priority, const BatchingOptions& options) {
  if (priority >= 0 && priority <= options.priority_levels) return absl::OkStatus();
  return WithField(absl::InvalidArgumentError(
                       absl::StrCat("priority must be 1 (the most urgent) to ", options.priority_levels,
                                    " (priority_levels), or 0 for the default; was ", priority)),
                   "priority");
}

}  // namespace calserve
