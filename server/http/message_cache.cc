#include "server/http/message_cache.h"

#include <chrono>

#include "server/http/dashboard_json.h"

namespace calserve {

std::shared_ptr<const std::string> MessageCache::Newest(const Watch& watch) {
  MutexLock lock(&mu_);
  const absl::Duration now = absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  std::erase_if(entries_, [now](const auto& entry) { return now - entry.second.made >= kSharedFor; });
  Entry& entry = entries_[watch];
  if (entry.message == nullptr) {
    entry = {now, std::make_shared<const std::string>(ToJson(view_.Values(watch)))};
  }
  return entry.message;
}

}  // namespace calserve
