#ifndef CALSERVE_SERVER_BASE_BEFORE_WAITING_H_
#define CALSERVE_SERVER_BASE_BEFORE_WAITING_H_

#include <vector>

#include "absl/functional/any_invocable.h"

namespace calserve {

// Calls `work` on the calling thread, once that has handled every event that is there and before it waits for
// more. False, and nothing is called, on a thread that does not wait for events.
bool RunBeforeWaiting(absl::AnyInvocable<void()> work);

// While it lives, its thread is one that waits for events: before it does, it must Run() until nothing is
// left. One a thread.
class WaitingThread {
 public:
  WaitingThread();
  ~WaitingThread();
  WaitingThread(const WaitingThread&) = delete;
  WaitingThread& operator=(const WaitingThread&) = delete;

  bool has_work() const { return !work_.empty(); }
  // In the order in which it came; what is added meanwhile is left for the next time.
  void Run();

 private:
  friend bool RunBeforeWaiting(absl::AnyInvocable<void()> work);

  std::vector<absl::AnyInvocable<void()>> work_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_BEFORE_WAITING_H_
