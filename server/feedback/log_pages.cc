#include "server/feedback/log_pages.h"

#include <algorithm>
#include <vector>

#include "server/base/status_macros.h"

namespace calserve {

absl::Status VisitNewest(Store& store, LogSelection selection, int64_t max_rows,
                         absl::FunctionRef<absl::Status(absl::Span<const ScoredLabel>)> visit,
                         int64_t page_positions) {
  // Whatever is selected besides: found without looking at more than a few rows.
  LogSelection range;
  range.after_position = selection.after_position;
  range.before_position = selection.before_position;
  range.start = selection.start;
  range.end = selection.end;
  ASSIGN_OR_RETURN(const std::vector<ScoredLabel> oldest, store.Read(range, 1));
  ASSIGN_OR_RETURN(const std::vector<ScoredLabel> newest, store.ReadNewest(range, 1));
  if (oldest.empty() || newest.empty()) return absl::OkStatus();
  const int64_t first = oldest.front().position;
  selection.start = absl::InfinitePast();
  selection.end = absl::InfiniteFuture();
  selection.before_position = newest.front().position + 1;
  while (max_rows > 0 && selection.before_position > first) {
    selection.after_position = std::max(first, selection.before_position - page_positions) - 1;
    ASSIGN_OR_RETURN(const std::vector<ScoredLabel> rows, store.ReadNewest(selection, max_rows));
    RETURN_IF_ERROR(visit(rows));
    max_rows -= static_cast<int64_t>(rows.size());
    selection.before_position = selection.after_position + 1;
  }
  return absl::OkStatus();
}

}  // namespace calserve
