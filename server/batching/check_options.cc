#include "server/batching/check_options.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/base/status_macros.h"

namespace calserve {

absl::Status CheckOptions(const BatchingOptions& options, const BatchRunner& runner) {
  const auto at_least = [](absl::string_view name, int64_t value, int64_t least) {
    if (value >= least) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(name, " must be >= ", least, "; was ", value));
  };
  RETURN_IF_ERROR(at_least("max_batch_size", options.max_batch_size, 1));
  RETURN_IF_ERROR(at_least("instances", options.instances, 1));
  RETURN_IF_ERROR(at_least("max_queue_delay in ns", absl::ToInt64Nanoseconds(options.max_queue_delay), 0));
  RETURN_IF_ERROR(at_least("inline_limit in ns", absl::ToInt64Nanoseconds(options.inline_limit), 0));
  RETURN_IF_ERROR(at_least("queue_timeout in ns", absl::ToInt64Nanoseconds(options.queue_timeout), 0));
  RETURN_IF_ERROR(at_least("priority_levels", options.priority_levels, 1));
  RETURN_IF_ERROR(at_least("default_priority", options.default_priority, 1));
  RETURN_IF_ERROR(at_least("priority_levels", options.priority_levels, options.default_priority));
  RETURN_IF_ERROR(at_least("slots", runner.slots, 1));
  RETURN_IF_ERROR(at_least("row_size", runner.row_size, 1));
  RETURN_IF_ERROR(at_least("columns", runner.columns, 1));
  // The largest request that is allowed must fit an empty queue.
  RETURN_IF_ERROR(at_least("max_queue_rows", options.max_queue_rows, options.max_batch_size));
  return at_least("max_queue_bytes", options.max_queue_bytes,
                  options.max_batch_size * runner.row_size * static_cast<int64_t>(sizeof(float)));
}

}  // namespace calserve
