#ifndef CALSERVE_SERVER_BASE_PERIODIC_H_
#define CALSERVE_SERVER_BASE_PERIODIC_H_

#include <functional>
#include <stop_token>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "server/base/mutex.h"

namespace calserve {

// Calls a function again and again on a thread of its own, first at once, then `interval` after the call
// before it returned. Destruction asks a call under way to stop, by the token that it was given, and waits
// for it; for nothing else.
class Periodic final {
 public:
  using Work = std::function<void(const std::stop_token&)>;

  Periodic(absl::Duration interval, Work work)
      : interval_(interval),
        work_(std::move(work)),
        thread_([this](const std::stop_token& stop) { Run(stop); }) {}
  ~Periodic() {
    MutexLock lock(&mu_);
    thread_.request_stop();
    stopping_.SignalAll();
  }

 private:
  void Run(const std::stop_token& stop) {
    do work_(stop);
    while (!WaitForStop(stop));
  }

  bool WaitForStop(const std::stop_token& stop) {
    MutexLock lock(&mu_);
    while (!stop.stop_requested()) {
      if (stopping_.WaitFor(&mu_, interval_)) break;
    }
    return stop.stop_requested();
  }

  const absl::Duration interval_;
  const Work work_;
  Mutex mu_;  // Held while a stop is requested, so that it is not missed.
  CondVar stopping_;
  std::jthread thread_;  // Last: joined before what it uses goes.
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_PERIODIC_H_
