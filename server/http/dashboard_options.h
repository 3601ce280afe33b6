#ifndef CALSERVE_SERVER_HTTP_DASHBOARD_OPTIONS_H_
#define CALSERVE_SERVER_HTTP_DASHBOARD_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/time/time.h"

namespace calserve {

// Of a stream of events.
struct StreamTimes {
  absl::Duration interval = absl::Seconds(1);   // between two messages
  absl::Duration heartbeat = absl::Seconds(5);  // with nothing written for so long, it says that it is alive
};

struct DashboardOptions {
  int max_viewers = 32;  // streams of events at the same time, a thread each; beyond it 503 at once
  std::vector<std::string>
      allowed_hosts;  // DNS names that the page answers to, beside addresses and localhost
  StreamTimes stream;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_DASHBOARD_OPTIONS_H_
