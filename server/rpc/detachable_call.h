#ifndef CALSERVE_SERVER_RPC_DETACHABLE_CALL_H_
#define CALSERVE_SERVER_RPC_DETACHABLE_CALL_H_

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "server/rpc/deferred_call.h"

namespace calserve {

// A call that waits for work which cannot be given up: when its client cancels or its deadline passes, it is
// answered and gone at once, and the work goes on without it.
class DetachableCall final : public DeferredCall {
 public:
  DetachableCall(CallTracker& calls, Admission admission)
      : DeferredCall(calls, std::move(admission)),
        answered_(std::make_shared<std::atomic<bool>>(!accepted())) {}

  // The model that it is about, as the client wrote it.
  void About(std::string model) {
    about_ = std::move(model);
    admission().About(about_);
  }

  // What answers the call, at most once; may be called after the call is gone. Only who has set `answered`
  // answers: until then gRPC keeps the call.
  auto Replier() {
    return [this, answered = answered_](const absl::Status& status) {
      if (!answered->exchange(true)) Answer(status);
    };
  }

  void OnCancel() override {
    if (answered_->exchange(true)) return;
    Answer(absl::CancelledError("the caller is gone or its deadline has passed; what it asked for goes on"));
  }

 private:
  const std::shared_ptr<std::atomic<bool>> answered_;
  std::string about_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_DETACHABLE_CALL_H_
