#ifndef CALSERVE_SERVER_RPC_DETACHABLE_CALL_H_
#define CALSERVE_SERVER_RPC_DETACHABLE_CALL_H_

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "server/rpc/access_gate.h"
#include "server/rpc/call_tracker.h"
#include "server/rpc/status.h"

namespace calserve {

// One unary call that waits for work which cannot be given up: when its client cancels or its deadline
// passes, it is answered and gone at once, and the work goes on without it. Deletes itself after Finish.
class DetachableCall final : public grpc::ServerUnaryReactor {
 public:
  // `admission`: of AccessGate::Authorize.
  DetachableCall(CallTracker& calls, Admission admission)
      : admission_(std::move(admission)),
        call_(admission_.ok() ? calls.Begin() : nullptr),
        answered_(std::make_shared<std::atomic<bool>>(call_ == nullptr)) {
    if (call_ != nullptr) return;
    const absl::Status why = admission_.ok() ? CallTracker::ShuttingDown() : admission_.status();
    admission_.Refuse(why);
    Finish(ToGrpcStatus(why));
  }
  // False: already answered, because the caller may not or the server is draining; leave it alone.
  bool accepted() const { return call_ != nullptr; }
  // Where it is accepted, until the callback of Replier is handed out.
  Admission& admission() { return admission_; }

  // What answers the call, at most once; may be called after the call is gone.
  auto Replier() {
    return [this, answered = answered_](const absl::Status& status) {
      if (!answered->exchange(true)) Reply(status);
    };
  }

  void OnCancel() override {
    if (answered_->exchange(true)) return;
    Reply(absl::CancelledError("the caller is gone or its deadline has passed; what it asked for goes on"));
  }
  void OnDone() override { delete this; }

 private:
  // Only by who has set answered_: until then gRPC keeps the call.
  void Reply(const absl::Status& status) {
    admission_.End(status);
    Finish(ToGrpcStatus(status));
  }

  Admission admission_;
  const std::unique_ptr<CallTracker::Call> call_;
  const std::shared_ptr<std::atomic<bool>> answered_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_DETACHABLE_CALL_H_
