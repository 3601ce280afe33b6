#ifndef CALSERVE_SERVER_HTTP_MESSAGE_CACHE_H_
#define CALSERVE_SERVER_HTTP_MESSAGE_CACHE_H_

#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "server/base/mutex.h"
#include "server/http/dashboard_view.h"

namespace calserve {

// What viewers of the same window are told, made once for all of them: what watching costs the server does
// not depend on how many watch. Holds as many messages as were asked for within kSharedFor. Thread-safe.
class MessageCache final {
 public:
  static constexpr absl::Duration kSharedFor = absl::Milliseconds(500);

  explicit MessageCache(const DashboardView& view) : view_(view) {}

  // The values as JSON, at most kSharedFor old.
  std::shared_ptr<const std::string> Newest(const Watch& watch);

 private:
  struct Entry {
    absl::Duration made;  // steady time
    std::shared_ptr<const std::string> message;
  };

  const DashboardView& view_;
  Mutex mu_;  // Also while making one: one at a time.
  std::map<Watch, Entry> entries_ ABSL_GUARDED_BY(mu_);
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_MESSAGE_CACHE_H_
