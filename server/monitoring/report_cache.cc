#include "server/monitoring/report_cache.h"

#include <cstddef>

#include "server/base/status_macros.h"
#include "server/monitoring/steady_time.h"

namespace calserve {
namespace {

// Above it, entries that are too old to be shared are dropped: calibrators that were replaced, models that
// are gone.
constexpr size_t kMaxEntries = 256;

}  // namespace

absl::StatusOr<WindowReport> ReportCache::Get(const MonitorKey& key, const std::string& window,
                                              absl::Duration not_before) {
  MutexLock lock(
      &mu_);  // Also while computing: others who want the same wait for it instead of computing it too.
  const absl::Duration now = SteadyNow();
  const auto it = entries_.find({key, window});
  if (it != entries_.end() && it->second.computed >= not_before && now - it->second.computed <= kSharedFor) {
    return it->second.report;
  }
  if (entries_.size() >= kMaxEntries) {
    std::erase_if(entries_, [now](const auto& entry) { return now - entry.second.computed > kSharedFor; });
  }
  ASSIGN_OR_RETURN(WindowReport report, monitor_.Report(key, window));
  return entries_.insert_or_assign({key, window}, Entry{now, std::move(report)}).first->second.report;
}

}  // namespace calserve
