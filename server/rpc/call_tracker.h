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
    Call(CallTracker* tracker, int64_t id) : tracker_(tracker), id_(id) {}
    ~Call() { tracker_->End(id_); }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    CallTracker* const tracker_;
    const int64_t id_;
  };

  // nullptr once draining: answer the call with ShuttingDown(). `on_drain` (may be empty) is called at most
  // once, from StartDrain, and not after the call has ended; it must not wait, nor end the call on that
  // thread.
  std::unique_ptr<Call> Begin(std::function<void()> on_drain = {}) {
    MutexLock lock(&mu_);
    if (draining_) return nullptr;
    const int64_t id = next_id_++;
    calls_.emplace(id, std::move(on_drain));
    return std::make_unique<Call>(this, id);
  }

  static absl::Status ShuttingDown() {
    return WithReason(absl::UnavailableError("the server is shutting down; retry on another one"),
                      "SHUTTING_DOWN");
  }

  // From now on Begin gives nullptr; streams are told.
  void StartDrain() {
    MutexLock lock(&mu_);
    if (std::exchange(draining_, true)) return;
    for (auto& [id, on_drain] : calls_) {
      if (on_drain) on_drain();
    }
  }

  int64_t under_way() const {
    MutexLock lock(&mu_);
    return static_cast<int64_t>(calls_.size());
  }

  // Waits until no call is under way, at most `timeout`; the number that still is.
  int64_t WaitUntilIdle(absl::Duration timeout) {
    MutexLock lock(&mu_);
    while (!calls_.empty()) {
      if (idle_.WaitFor(&mu_, timeout)) break;
    }
    return static_cast<int64_t>(calls_.size());
  }

 private:
  void End(int64_t id) {
    MutexLock lock(&mu_);
    calls_.erase(id);
    if (calls_.empty()) idle_.SignalAll();
  }

  mutable Mutex mu_;
  CondVar idle_;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  int64_t next_id_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<int64_t, std::function<void()>> calls_ ABSL_GUARDED_BY(mu_);
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_CALL_TRACKER_H_
