#ifndef CALSERVE_SERVER_RPC_UNARY_CALL_H_
#define CALSERVE_SERVER_RPC_UNARY_CALL_H_

#include <grpcpp/server_context.h>

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/batching/batcher.h"
#include "server/rpc/deferred_call.h"

namespace calserve {

// A call whose work looks at a flag to see that nobody waits for it any more.
class UnaryCall : public DeferredCall {
 public:
  UnaryCall(CallTracker& calls, Admission admission)
      : DeferredCall(calls, std::move(admission)), cancel_(std::make_shared<CancelFlag>()) {}

  std::shared_ptr<const CancelFlag> cancel() const { return cancel_; }
  // Answers the call, exactly once.
  void Reply(const absl::Status& status) { Answer(status); }

  void OnCancel() override { cancel_->Cancel(); }
  // gRPC may call OnCancel and OnDone on the thread that finds the event, as they are short, instead of
  // handing each to its executor, a wake-up of another thread for every call. It may do so within any call
  // into gRPC, so they take no lock that is held around one. (Not in gRPC's documentation; a version that
  // drops it loses only that.)
  bool InternalInlineable() override { return true; }

 private:
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
