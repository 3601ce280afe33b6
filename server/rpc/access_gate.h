#ifndef CALSERVE_SERVER_RPC_ACCESS_GATE_H_
#define CALSERVE_SERVER_RPC_ACCESS_GATE_H_

#include <grpcpp/server_context.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/access/access_control.h"
#include "server/access/audit_log.h"
#include "server/rpc/call_log.h"
#include "server/rpc/methods.h"

namespace calserve {

// Whether a call may be made, who makes it, its place among theirs until it has ended, and what is said of it
// then. Every reactor is made of one, and says once how it ended.
class Admission final {
 public:
  Admission(Admission&&) noexcept = default;
  Admission& operator=(Admission&&) noexcept = delete;
  ~Admission() {
    if (log_ != nullptr) End(absl::CancelledError("ended without an answer"));
  }

  // False: the handler answers with the status, by Refuse, and does nothing else.
  bool ok() const { return status_.ok(); }
  const absl::Status& status() const { return status_; }
  const std::string& who() const { return who_; }
  // For a RequestScope where work is done for the call.
  const RequestContext& ids() const { return call_.ids; }
  // gRPC's own, until it is finished.
  grpc_call* call() const { return call_.context->c_call(); }

  // What the call is about, for the log and the counters: the name in the request, which outlives the call,
  // or the version that is served.
  void About(absl::string_view asked_model) { call_.asked_model = asked_model; }
  void About(const ServedModel& model) {
    call_.counters = model.counters;
    call_.model = model.name;
    call_.version = model.version;
  }

  // One more message of a stream, where the caller's limits allow it.
  absl::Status NextMessage() { return permit_.NextMessage(); }

  // What the audit log is to say of the call, where its method is audited.
  void Note(absl::string_view name, absl::string_view value) {
    if (audit_ != nullptr) record_->details.emplace_back(name, value);
  }
  // Of a stream that goes on: a message was answered with an error, or was not even looked at.
  void MessageFailed(const absl::Status& why) const { log_->MessageFailed(call_, who_, why); }
  void MessageRefused(const absl::Status& why) const { log_->MessageRefused(call_, who_, why); }
  // Of one that ends with it: what says so is the line of the stream's end.
  void MessageUnread(const absl::Status& why) const { log_->MessageUnread(call_, why); }
  // Writes the lines of the log and the audit log and counts the call, the first time. Before the client can
  // see the outcome.
  void End(const absl::Status& outcome) {
    if (log_ == nullptr) return;
    WriteAudit(outcome);
    log_->Ended(call_, who_, outcome);
    log_.reset();
  }
  // The same where the call was not begun: it may not be made, the server drains, or its request cannot be
  // read.
  void Refuse(const absl::Status& why) {
    if (log_ == nullptr) return;
    WriteAudit(why);
    log_->Refused(call_, who_, why);
    log_.reset();
  }

 private:
  friend class AccessGate;
  struct NotOwned {
    template <typename T>
    void operator()(const T*) const {}
  };

  Admission(CallLog& log, CallRecord call) : call_(std::move(call)), log_(&log) {}

  void WriteAudit(const absl::Status& outcome) {
    if (audit_ == nullptr) return;
    const RequestScope scope(call_.ids);
    audit_->Record(*record_, outcome);
    audit_.reset();
  }

  absl::Status status_;
  CallRecord call_;
  std::string who_ = Identity().name;
  ClientLimits::Permit permit_;
  std::unique_ptr<const AuditLog, NotOwned> audit_;  // null where nothing is to be written
  std::unique_ptr<AuditRecord> record_;
  std::unique_ptr<CallLog, NotOwned> log_;  // null once the call has ended
};

// AccessControl for gRPC's handlers. Its first use in a handler is the handler's first line: in gRPC 1.51 an
// interceptor cannot keep a handler from running, and an AuthMetadataProcessor ends the process where a
// connection is plain text. Thread-safe.
class AccessGate final {
 public:
  // The first two may be null: then everybody may do everything, or nothing is audited. All outlive the gate.
  // `client_certificates`: connections have them.
  AccessGate(AccessControl* access, const AuditLog* audit, CallLog& log, bool client_certificates)
      : access_(access), audit_(audit), log_(log), client_certificates_(client_certificates) {}

  // UNAUTHENTICATED, PERMISSION_DENIED, RESOURCE_EXHAUSTED, or UNAVAILABLE where the call could not be
  // audited: the handler answers so and does nothing else.
  Admission Authorize(grpc::CallbackServerContext& context, const RpcMethod& method) const;
  // Of a method that anybody may call.
  Admission Open(grpc::CallbackServerContext& context, const RpcMethod& method) const {
    return {log_, CallLog::Begin(context, method)};
  }

 private:
  absl::StatusOr<Identity> Identify(const grpc::CallbackServerContext& context) const;

  AccessControl* const access_;
  const AuditLog* const audit_;
  CallLog& log_;
  const bool client_certificates_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_ACCESS_GATE_H_
