#ifndef CALSERVE_SERVER_BASE_FIFO_MUTEX_H_
#define CALSERVE_SERVER_BASE_FIFO_MUTEX_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "server/base/mutex.h"

namespace calserve {

// A mutex that is had in the order in which it was asked for: whoever gives it back and wants it again at
// once comes after those that wait already, which a Mutex does not promise. For what is held for
// milliseconds.
class ABSL_LOCKABLE FifoMutex final {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    MutexLock lock(&mu_);
    const int64_t turn = next_++;
    while (serving_ != turn) served_.Wait(&mu_);
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() {
    MutexLock lock(&mu_);
    ++serving_;
    served_.SignalAll();
  }
  // Holder and waiters.
  int64_t queued() const {
    MutexLock lock(&mu_);
    return next_ - serving_;
  }

 private:
  mutable Mutex mu_;
  CondVar served_;
  int64_t next_ ABSL_GUARDED_BY(mu_) = 0;     // the turn of the next to ask
  int64_t serving_ ABSL_GUARDED_BY(mu_) = 0;  // whose turn it is
};

// Holds a FifoMutex for a scope.
class ABSL_SCOPED_LOCKABLE FifoMutexLock {
 public:
  explicit FifoMutexLock(FifoMutex* mu) ABSL_EXCLUSIVE_LOCK_FUNCTION(mu) : mu_(mu) { mu_->Lock(); }
  ~FifoMutexLock() ABSL_UNLOCK_FUNCTION() { mu_->Unlock(); }
  FifoMutexLock(const FifoMutexLock&) = delete;
  FifoMutexLock& operator=(const FifoMutexLock&) = delete;

 private:
  FifoMutex* const mu_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_FIFO_MUTEX_H_
