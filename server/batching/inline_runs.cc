#include "server/batching/inline_runs.h"

#include <utility>

namespace calserve {

InlineRuns::InlineRuns(std::function<void()> run) : run_(std::move(run)) {}

void InlineRuns::Run() {
  {
    MutexLock lock(&mu_);
    if (ended_) return;
    ++running_;
  }
  run_();
  MutexLock lock(&mu_);
  --running_;
  done_.SignalAll();
}

void InlineRuns::End() {
  MutexLock lock(&mu_);
  ended_ = true;
  while (running_ > 0) done_.Wait(&mu_);
}

}  // namespace calserve
