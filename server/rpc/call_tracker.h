#ifndef CALSERVE_SERVER_RPC_CALL_TRACKER_H_
#define CALSERVE_SERVER_RPC_CALL_TRACKER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/base/error_info.h"
#include "server/base/mutex.h"

namespace calserve {

// Counts the calls under way, so that a drain knows when the last has finished, and tells long-lived streams
// to end. Thread-safe.
class CallTracker final {
 public:
  // One call, from Begin to destruction.
  class Call {
   public:
    // `told` is the call's key among those that are told of a drain; 0 where it is not.
    Call(CallTracker* tracker, int64_t told) : tracker_(tracker), told_(told) {}
    ~Call() { tracker_->End(told_); }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    CallTracker* const tracker_;
    const int64_t told_;
  };

  // nullptr once draining: answer the call with ShuttingDown().
  std::unique_ptr<Call> Begin() {
    if (!Count()) return nullptr;
    return std::make_unique<Call>(this, 0);
  }
  // The same for a stream. `on_drain` is called at most once, from StartDrain, and not after the call has
  // ended; it must not wait, nor end a call that was begun so on that thread. Others may end while it runs.
  std::unique_ptr<Call> Begin(std::function<void()> on_drain) {
    MutexLock lock(&drain_mu_);
    if (!Count()) return nullptr;
    const int64_t key = next_key_++;
    on_drain_.emplace(key, std::move(on_drain));
    return std::make_unique<Call>(this, key);
  }

  static absl::Status ShuttingDown() {
    return WithReason(absl::UnavailableError("the server is shutting down; retry on another one"),
                      "SHUTTING_DOWN");
  }

  // From now on Begin gives nullptr; streams are told.
  void StartDrain() {
    {
      MutexLock lock(&mu_);
      if (std::exchange(draining_, true)) return;
    }
    MutexLock lock(&drain_mu_);
    for (auto& [key, on_drain] : on_drain_) on_drain();
  }

  int64_t under_way() const {
    MutexLock lock(&mu_);
    return under_way_;
  }

  // Waits until no call is under way, at most `timeout`; the number that still is.
  int64_t WaitUntilIdle(absl::Duration timeout) {
    MutexLock lock(&mu_);
    while (under_way_ > 0) {
      if (idle_.WaitFor(&mu_, timeout)) break;
    }
    return under_way_;
  }

 private:
  // False once draining.
  bool Count() {
    MutexLock lock(&mu_);
    if (draining_) return false;
    ++under_way_;
    return true;
  }

  void End(int64_t told) {
    if (told > 0) {
      MutexLock lock(&drain_mu_);
      on_drain_.erase(told);
    }
    MutexLock lock(&mu_);
    if (--under_way_ == 0) idle_.SignalAll();
  }

  // Held while streams are told, which write and finish meanwhile: within that gRPC may end a unary call of
  // the same connection on this thread. So what ends a unary call takes mu_ alone, and mu_ is never held
  // while calling out.
  Mutex drain_mu_;  // Taken before mu_.
  int64_t next_key_ ABSL_GUARDED_BY(drain_mu_) = 1;
  std::map<int64_t, std::function<void()>> on_drain_ ABSL_GUARDED_BY(drain_mu_);

  mutable Mutex mu_;
  CondVar idle_;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  int64_t under_way_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_CALL_TRACKER_H_
