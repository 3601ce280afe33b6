#ifndef CALSERVE_SERVER_CONFIG_CPU_LIMIT_H_
#define CALSERVE_SERVER_CONFIG_CPU_LIMIT_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace calserve {

// The CPUs that "QUOTA PERIOD" (cpu.max of cgroup v2, microseconds) allows: 1.5 for "150000 100000"; nullopt
// for "max 100000" and for anything else.
std::optional<double> ParseCpuMax(absl::string_view text);

// The least CPU limit on the cgroups that this process is in, v2 or v1; nullopt where there is none. `root`
// comes before /proc and /sys.
std::optional<double> CgroupCpuLimit(const std::string& root = "");

// The cores that this process may keep busy: those of its affinity mask, at most the cgroup's limit rounded
// down, at least 1.
int AvailableCores();

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_CPU_LIMIT_H_
