#include "server/recalibration/low_priority_worker.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

namespace calserve {
namespace {

constexpr int kNice = 10;

// Linux gives each thread a nice value of its own, addressed by its thread id (setpriority(2), "C
// library/kernel differences"). Raising it is always allowed; were it refused, the worker would only be less
// polite.
void LowerOwnPriority() { setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice); }

}  // namespace

LowPriorityWorker::LowPriorityWorker(int max_queued)
    : queue_(static_cast<size_t>(max_queued), std::numeric_limits<int64_t>::max()), thread_([this] {
        LowerOwnPriority();
        while (std::optional<Task> task = queue_.Pop()) std::move (*task)();
      }) {}

LowPriorityWorker::~LowPriorityWorker() {
  queue_.Close();
  thread_.join();
}

}  // namespace calserve
