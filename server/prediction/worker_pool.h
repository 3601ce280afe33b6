#ifndef CALSERVE_SERVER_PREDICTION_WORKER_POOL_H_
#define CALSERVE_SERVER_PREDICTION_WORKER_POOL_H_

#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "server/base/bounded_queue.h"

namespace calserve {

struct DecodingOptions {
  int threads = 0;                                // 0: one a core
  int max_queued_images = 256;                    // beyond it RESOURCE_EXHAUSTED
  int64_t max_queued_bytes = int64_t{256} << 20;  // of encoded images; beyond it RESOURCE_EXHAUSTED
};

// Threads that decode images, fed by one bounded queue. Thread-safe. Destruction runs what is queued, then
// stops.
class WorkerPool final {
 public:
  using Work = absl::AnyInvocable<void() &&>;

  explicit WorkerPool(const DecodingOptions& options)
      : queue_(static_cast<size_t>(options.max_queued_images), options.max_queued_bytes) {
    for (int i = 0; i < options.threads; ++i) threads_.emplace_back([this] { RunUntilClosed(); });
  }
  ~WorkerPool() { queue_.Close(); }  // Members go in reverse: the threads are joined before the queue goes.

  // False, with `work` untouched, when the queue is full.
  bool TrySubmit(Work&& work, int64_t bytes) { return queue_.TryPush(std::move(work), bytes); }

 private:
  void RunUntilClosed() {
    while (std::optional<Work> work = queue_.Pop()) std::move (*work)();
  }

  BoundedQueue<Work> queue_;
  std::vector<std::jthread> threads_;  // Last: joined before the queue is destroyed.
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_PREDICTION_WORKER_POOL_H_
