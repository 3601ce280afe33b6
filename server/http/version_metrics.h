#ifndef CALSERVE_SERVER_HTTP_VERSION_METRICS_H_
#define CALSERVE_SERVER_HTTP_VERSION_METRICS_H_

#include <vector>

#include "server/http/metric_families.h"
#include "server/http/server_view.h"

namespace calserve {

// A series of 1 for each version that is wanted or loaded, and for each model that has a fault as a whole,
// with an empty version: not for every folder that lies there.
void AddVersionStates(MetricFamilies& families, const std::vector<VersionStateValues>& versions);

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_VERSION_METRICS_H_
