#include "server/batching/check_task.h"

#include <cstddef>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "server/base/error_info.h"

namespace calserve {

absl::Status CheckTask(const BatchTask& task, const BatchingOptions& options, const BatchRunner& runner) {
  if (task.rows < 1 || task.rows > options.max_batch_size) {
    return absl::InvalidArgumentError(
        absl::StrCat("a request has 1 to ", options.max_batch_size, " rows; this one has ", task.rows));
  }
  if (task.input.size() != static_cast<size_t>(task.rows)) {
    return absl::InvalidArgumentError(
        absl::StrCat("a task of ", task.rows, " rows has the input of ", task.input.size()));
  }
  for (const absl::Span<const float> row : task.input) {
    if (static_cast<int64_t>(row.size()) == runner.row_size) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("a row has ", runner.row_size, " values; this one has ", row.size()));
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
