#ifndef CALSERVE_SERVER_BASE_CLOCK_H_
#define CALSERVE_SERVER_BASE_CLOCK_H_

#include "absl/time/time.h"
#include "server/base/mutex.h"

namespace calserve {

// The wall clock, as an interface so that tests decide what time it is. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;

  // The system's clock; never destroyed.
  static const Clock& System();
};

// A clock that moves only when told. Thread-safe.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(absl::Time start) : now_(start) {}
  absl::Time Now() const override {
    MutexLock lock(&mu_);
    return now_;
  }
  void Advance(absl::Duration by) {
    MutexLock lock(&mu_);
    now_ += by;
  }
  void Set(absl::Time now) {
    MutexLock lock(&mu_);
    now_ = now;
  }

 private:
  mutable Mutex mu_;
  absl::Time now_ ABSL_GUARDED_BY(mu_);
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_CLOCK_H_
