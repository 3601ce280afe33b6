#ifndef CALSERVE_SERVER_BASE_WORKER_POOL_H_
#define CALSERVE_SERVER_BASE_WORKER_POOL_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "server/base/bounded_queue.h"

namespace calserve {

// Threads that run work from one queue, bounded in items and in bytes. Thread-safe. Destruction runs what is
// queued, then stops.
class WorkerPool final {
 public:
  using Work = absl::AnyInvocable<void() &&>;

  WorkerPool(int threads, size_t max_items, int64_t max_bytes) : queue_(max_items, max_bytes) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { RunUntilClosed(); });
  }
  ~WorkerPool() { queue_.Close(); }

  // False, with `work` untouched, when it does not fit.
  bool TrySubmit(Work&& work, int64_t bytes) { return queue_.TryPush(std::move(work), bytes); }

 private:
  void RunUntilClosed() {
    while (std::optional<Work> work = queue_.Pop()) std::move (*work)();
  }

  BoundedQueue<Work> queue_;
  std::vector<std::jthread> threads_;  // Last: joined before the queue is destroyed.
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_WORKER_POOL_H_
