#ifndef CALSERVE_SERVER_RPC_UNARY_CALL_H_
#define CALSERVE_SERVER_RPC_UNARY_CALL_H_

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/batching/batcher.h"
#include "server/rpc/access_gate.h"
#include "server/rpc/call_tracker.h"
#include "server/rpc/status.h"

namespace calserve {

// One unary call that is answered later, from another thread. Deletes itself after Finish.
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  // `admission`: of AccessGate::Authorize.
  UnaryCall(CallTracker& calls, Admission admission)
      : admission_(std::move(admission)),
        call_(admission_.ok() ? calls.Begin() : nullptr),
        cancel_(std::make_shared<CancelFlag>()) {
    if (call_ != nullptr) return;
    const absl::Status why = admission_.ok() ? CallTracker::ShuttingDown() : admission_.status();
    admission_.Refuse(why);
    Finish(ToGrpcStatus(why));
  }
  // False: already answered, because the caller may not or the server is draining; leave it alone.
  bool accepted() const { return call_ != nullptr; }
  // Where it is accepted.
  Admission& admission() { return admission_; }
  std::shared_ptr<const CancelFlag> cancel() const { return cancel_; }
  // Answers the call, exactly once.
  void Reply(const absl::Status& status) {
    admission_.End(status);
    Finish(ToGrpcStatus(status));
  }

  void OnCancel() override { cancel_->Cancel(); }
  void OnDone() override { delete this; }
  // gRPC may call the two above on the thread that finds the event, as they are short, instead of handing
  // each to its executor, a wake-up of another thread for every call. It may do so within any call into gRPC,
  // so they take no lock that is held around one. (Not in gRPC's documentation; a version that drops it loses
  // only that.)
  bool InternalInlineable() override { return true; }

 private:
  Admission admission_;
  const std::unique_ptr<CallTracker::Call> call_;
  const std::shared_ptr<CancelFlag> cancel_;
};

// The client's deadline; infinite if it set none.
inline absl::Time Deadline(const grpc::CallbackServerContext& context) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return absl::InfiniteFuture();
  return absl::FromChrono(deadline);
}

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_UNARY_CALL_H_
