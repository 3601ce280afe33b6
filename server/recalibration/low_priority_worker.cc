#include "server/recalibration/low_priority_worker.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "server/base/thread_priority.h"

namespace calserve {
namespace {

constexpr int kNice = 10;

}  // namespace

LowPriorityWorker::LowPriorityWorker(int max_queued)
    : queue_(static_cast<size_t>(max_queued), std::numeric_limits<int64_t>::max()), thread_([this] {
        LowerOwnPriority(kNice);
        while (std::optional<Task> task = queue_.Pop()) std::move (*task)();
      }) {}

LowPriorityWorker::~LowPriorityWorker() {
  queue_.Close();
  thread_.join();
}

}  // namespace calserve
