#ifndef CALSERVE_SERVER_FEEDBACK_LOG_PAGES_H_
#define CALSERVE_SERVER_FEEDBACK_LOG_PAGES_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "server/feedback/store.h"

namespace calserve {

// Positions of the log that are looked at at a time, some 10 ms: so neither a fit nor a report holds all rows
// with their tickets' content, and both can be stopped, however few rows are selected.
inline constexpr int64_t kPagePositions = 8192;

// Visits the newest `max_rows` rows of the selection in pages, the newest page first, a page in the order of
// the log. A page is what is selected of `page_positions` positions: it may be empty. Rows appended meanwhile
// are not visited. Stops at the first error, the store's or the visitor's.
absl::Status VisitNewest(Store& store, LogSelection selection, int64_t max_rows,
                         absl::FunctionRef<absl::Status(absl::Span<const ScoredLabel>)> visit,
                         int64_t page_positions = kPagePositions);

}  // namespace calserve

#endif  // CALSERVE_SERVER_FEEDBACK_LOG_PAGES_H_
