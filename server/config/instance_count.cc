#include "server/config/instance_count.h"

#include <algorithm>

namespace calserve {

int ChooseInstances(int configured, bool on_cpu, int cores) {
  if (configured > 0) return configured;
  return on_cpu ? std::clamp(cores, 1, 4) : 2;
}

int ChooseIntraOpThreads(int configured, int instances, int cores) {
  return configured > 0 ? configured : std::max(1, cores / std::max(1, instances));
}

int ChoosePollingThreads(int configured, int cores) {
  return configured > 0 ? configured : std::max(1, cores / 4);
}

}  // namespace calserve
