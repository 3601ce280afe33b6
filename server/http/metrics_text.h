#ifndef CALSERVE_SERVER_HTTP_METRICS_TEXT_H_
#define CALSERVE_SERVER_HTTP_METRICS_TEXT_H_

#include <string>

#include "server/http/process_stats.h"
#include "server/http/server_view.h"

namespace calserve {

inline constexpr char kMetricsContentType[] = "text/plain; version=0.0.4; charset=utf-8";

// The metrics in Prometheus's text format 0.0.4 (docs/metrics-and-health.md lists them). The labels model and
// version have the values that `values` has, all others come from fixed sets. A family without a series is
// left out.
std::string MetricsText(const ServerValues& values, bool ready, const ProcessStats& process);

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_METRICS_TEXT_H_
