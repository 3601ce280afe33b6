#ifndef CALSERVE_SERVER_HTTP_PROCESS_METRICS_H_
#define CALSERVE_SERVER_HTTP_PROCESS_METRICS_H_

#include "server/http/metric_families.h"
#include "server/http/process_stats.h"

namespace calserve {

// What the process takes: processor time, memory, files, messages that it holds.
void AddProcess(MetricFamilies& families, const ProcessStats& process);

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_PROCESS_METRICS_H_
