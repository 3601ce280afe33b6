#include "server/feedback/retention.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/base/status_macros.h"

namespace calserve {
namespace {

constexpr absl::Duration kMargin = absl::Hours(24);
constexpr absl::Duration kPause = absl::Milliseconds(2);

}  // namespace

absl::Status CheckRetention(absl::Duration retention, absl::Duration feedback_ttl) {
  if (retention >= feedback_ttl + kMargin) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("retention must be at least tickets.feedback_ttl + 24h = ",
                   absl::FormatDuration(feedback_ttl + kMargin), "; was ", absl::FormatDuration(retention),
                   ": a label sent again after its row was deleted would count twice"));
}

absl::StatusOr<int64_t> DeleteExpired(Store& store, absl::Time now, absl::Duration retention,
                                      const std::stop_token& stop) {
  int64_t total = 0;
  while (!stop.stop_requested()) {
    ASSIGN_OR_RETURN(const int64_t deleted, store.DeleteBefore(now - retention));
    if (deleted == 0) break;
    total += deleted;
    absl::SleepFor(kPause);
  }
  return total;
}

}  // namespace calserve
