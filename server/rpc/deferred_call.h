#ifndef CALSERVE_SERVER_RPC_DEFERRED_CALL_H_
#define CALSERVE_SERVER_RPC_DEFERRED_CALL_H_

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "server/rpc/access_gate.h"
#include "server/rpc/call_tracker.h"
#include "server/rpc/polling_threads.h"
#include "server/rpc/status.h"

namespace calserve {

// What unary calls share that are answered later, from another thread or this one: they are let in, counted
// while they live, and logged with their answer. Deletes itself after Finish.
class DeferredCall : public grpc::ServerUnaryReactor {
 public:
  // False: already answered, because the caller may not or the server is draining; leave it alone.
  bool accepted() const { return call_ != nullptr; }
  // Where it is accepted, until it is answered.
  Admission& admission() { return admission_; }

  void OnDone() override { delete this; }

 protected:
  // `admission`: of AccessGate::Authorize.
  DeferredCall(CallTracker& calls, Admission admission)
      : admission_(std::move(admission)), call_(admission_.ok() ? calls.Begin() : nullptr) {
    if (call_ != nullptr) return;
    Refuse(admission_.ok() ? CallTracker::ShuttingDown() : admission_.status());
  }
  ~DeferredCall() override = default;

  // Answers the call, exactly once: at once, or with the others of the batch whose answers the thread
  // gathers.
  void Answer(const absl::Status& status) {
    admission_.End(status);
    status_ = ToGrpcStatus(status);
    if (!KeepForBatch(admission_.call(), [this] { Finish(status_); })) Finish(status_);
  }
  // The same where it was not begun.
  void Refuse(const absl::Status& why) {
    admission_.Refuse(why);
    Finish(ToGrpcStatus(why));
  }

 private:
  Admission admission_;
  const std::unique_ptr<CallTracker::Call> call_;
  grpc::Status status_;  // that it is answered with, once it is
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_DEFERRED_CALL_H_
