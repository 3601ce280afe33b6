#ifndef CALSERVE_SERVER_BASE_MONOTONIC_CLOCK_H_
#define CALSERVE_SERVER_BASE_MONOTONIC_CLOCK_H_

#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "server/base/mutex.h"

namespace calserve {

// Time that no one sets back, and waiting by it; an interface so that tests decide when it passes. Its values
// mean nothing outside the process; they are on the axis of absl::Time for its arithmetic. Thread-safe.
class MonotonicClock {
 public:
  virtual ~MonotonicClock() = default;
  virtual absl::Time Now() const = 0;
  // Waits on `cv` until it is signalled or `time` has come; may wake spuriously: call it in a loop.
  virtual void WaitUntil(CondVar* cv, Mutex* mu, absl::Time time) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) = 0;

  // The system's; never destroyed.
  static MonotonicClock& System();
};

// Passes only when told. Outlived by none of those who wait.
class ManualMonotonicClock final : public MonotonicClock {
 public:
  absl::Time Now() const override;
  void WaitUntil(CondVar* cv, Mutex* mu, absl::Time time) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  // Wakes all who wait; whoever waits for a later time goes on waiting.
  void Advance(absl::Duration by) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Waiter {
    CondVar* cv;
    Mutex* mu;
    friend bool operator==(const Waiter&, const Waiter&) = default;
  };

  mutable Mutex mu_;  // After the mutexes of those who wait.
  absl::Time now_ ABSL_GUARDED_BY(mu_) = absl::UnixEpoch();
  std::vector<Waiter> waiters_ ABSL_GUARDED_BY(mu_);
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_MONOTONIC_CLOCK_H_
