#include "server/base/monotonic_clock.h"

#include <algorithm>
#include <chrono>

namespace calserve {
namespace {

// Waits are cut to this, far below where the arithmetic of std::condition_variable overflows.
constexpr absl::Duration kLongestWait = absl::Hours(1);

class SteadyClock final : public MonotonicClock {
 public:
  absl::Time Now() const override {
    return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  }
  void WaitUntil(CondVar* cv, Mutex* mu, absl::Time time) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    cv->WaitFor(mu, std::min(time - Now(), kLongestWait));
  }
};

}  // namespace

MonotonicClock& MonotonicClock::System() {
  static auto* const clock = new SteadyClock;
  return *clock;
}

absl::Time ManualMonotonicClock::Now() const {
  MutexLock lock(&mu_);
  return now_;
}

void ManualMonotonicClock::WaitUntil(CondVar* cv, Mutex* mu, absl::Time time) {
  const Waiter waiter{cv, mu};
  {
    MutexLock lock(&mu_);
    if (time <= now_) return;
    waiters_.push_back(waiter);
  }
  cv->Wait(mu);
  MutexLock lock(&mu_);
  waiters_.erase(std::find(waiters_.begin(), waiters_.end(), waiter));
}

void ManualMonotonicClock::Advance(absl::Duration by) {
  std::vector<Waiter> waiters;
  {
    MutexLock lock(&mu_);
    now_ += by;
    waiters = waiters_;
  }
  for (const Waiter& waiter : waiters) {
    MutexLock lock(waiter.mu);
    waiter.cv->SignalAll();
  }
}

}  // namespace calserve
