#ifndef CALSERVE_SERVER_BATCHING_INLINE_RUNS_H_
#define CALSERVE_SERVER_BATCHING_INLINE_RUNS_H_

#include <functional>

#include "server/base/mutex.h"

namespace calserve {

// Lets threads that read requests run a batcher's batches until it stops. Notes that are left with such a
// thread (RunBeforeWaiting) share it: they may outlive the batcher. Thread-safe.
class InlineRuns {
 public:
  // `run` is called on the thread that calls Run, on several at once, until End; it must not throw.
  explicit InlineRuns(std::function<void()> run);

  // Nothing once it has ended.
  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  // Waits for what runs.
  void End() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  const std::function<void()> run_;
  Mutex mu_;
  CondVar done_;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  int running_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BATCHING_INLINE_RUNS_H_
