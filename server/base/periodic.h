#ifndef CALSERVE_SERVER_BASE_PERIODIC_H_
#define CALSERVE_SERVER_BASE_PERIODIC_H_

#include <functional>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "server/base/mutex.h"

namespace calserve {

// Calls a function again and again on a thread of its own, first at once, then `interval` after the call
// before it returned. Destruction waits for a call under way, for nothing else.
class Periodic final {
 public:
  Periodic(absl::Duration interval, std::function<void()> work)
      : interval_(interval), work_(std::move(work)), thread_([this] { Run(); }) {}
  ~Periodic() {
    MutexLock lock(&mu_);
    stopping_ = true;
    stop_.SignalAll();
  }

 private:
  void Run() {
    do work_();
    while (!WaitForStop());
  }

  bool WaitForStop() {
    MutexLock lock(&mu_);
    while (!stopping_) {
      if (stop_.WaitFor(&mu_, interval_)) break;
    }
    return stopping_;
  }

  const absl::Duration interval_;
  const std::function<void()> work_;
  Mutex mu_;
  CondVar stop_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::jthread thread_;  // Last: joined before what it uses goes.
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_PERIODIC_H_
