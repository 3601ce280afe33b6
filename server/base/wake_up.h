#ifndef CALSERVE_SERVER_BASE_WAKE_UP_H_
#define CALSERVE_SERVER_BASE_WAKE_UP_H_

#include <chrono>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "server/base/mutex.h"

namespace calserve {

// What a thread with a loop waits on: work was announced, a time has passed, or it is to end. Thread-safe.
class WakeUp final {
 public:
  // There is work; never waits for long.
  void Notify() {
    MutexLock lock(&mu_);
    notified_ = true;
    changed_.Signal();
  }
  // Ends every wait, from now on at once.
  void Stop() {
    MutexLock lock(&mu_);
    stopping_ = true;
    changed_.SignalAll();
  }
  // Before work is looked for: what is announced from here on is waited for no more.
  void Clear() {
    MutexLock lock(&mu_);
    notified_ = false;
  }

  // Until notified since Clear, or that much has passed; false once stopped.
  bool Wait(absl::Duration at_most) {
    return WaitFor(at_most, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return notified_; });
  }
  // Until that much has passed, whatever is announced; false once stopped.
  bool Pause(absl::Duration duration) {
    return WaitFor(duration, [] { return false; });
  }

 private:
  template <typename Due>
  bool WaitFor(absl::Duration at_most, Due due) {
    MutexLock lock(&mu_);
    const absl::Duration end = Now() + at_most;
    while (!stopping_ && !due()) {
      const absl::Duration left = end - Now();
      if (left <= absl::ZeroDuration()) break;
      changed_.WaitFor(&mu_, left);
    }
    return !stopping_;
  }
  static absl::Duration Now() {
    return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  }

  Mutex mu_;
  CondVar changed_;
  bool notified_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_WAKE_UP_H_
