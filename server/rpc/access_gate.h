#ifndef CALSERVE_SERVER_RPC_ACCESS_GATE_H_
#define CALSERVE_SERVER_RPC_ACCESS_GATE_H_

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/access/access_control.h"
#include "server/access/audit_log.h"
#include "server/rpc/methods.h"

namespace calserve {

// A call that may be made: who makes it, and its place among theirs until it has ended. Every reactor is made
// of one, or of why there is none.
class Admission final {
 public:
  Admission() = default;  // of anonymous, without limits
  Admission(std::string who, ClientLimits::Permit permit)
      : who_(std::move(who)), permit_(std::move(permit)) {}
  Admission(Admission&&) noexcept = default;
  Admission& operator=(Admission&&) noexcept = default;
  ~Admission() { End(absl::CancelledError("ended without an answer")); }

  const std::string& who() const { return who_; }

  // One more message of a stream, where the caller's limits allow it.
  absl::Status NextMessage() { return permit_.NextMessage(); }

  // What the audit log is to say of the call, where its method is audited.
  void Note(absl::string_view name, absl::string_view value) {
    if (audit_ != nullptr) record_->details.emplace_back(name, value);
  }
  // Writes the audit log's line, the first time. Before the client can see the outcome.
  void End(const absl::Status& outcome) {
    if (audit_ != nullptr) audit_->Record(*record_, outcome);
    audit_.reset();
  }

 private:
  friend class AccessGate;
  struct NotOwned {
    void operator()(const AuditLog*) const {}
  };

  std::string who_ = Identity().name;
  ClientLimits::Permit permit_;
  std::unique_ptr<const AuditLog, NotOwned> audit_;  // null where nothing is to be written
  std::unique_ptr<AuditRecord> record_;
};

// AccessControl for gRPC's handlers. Its first use in a handler is the handler's first line: in gRPC 1.51 an
// interceptor cannot keep a handler from running, and an AuthMetadataProcessor ends the process where a
// connection is plain text. Thread-safe.
class AccessGate final {
 public:
  // Either may be null: then everybody may do everything, or nothing is audited. Both outlive the gate.
  // `client_certificates`: connections have them.
  AccessGate(AccessControl* access, const AuditLog* audit, bool client_certificates)
      : access_(access), audit_(audit), client_certificates_(client_certificates) {}

  // UNAUTHENTICATED, PERMISSION_DENIED, RESOURCE_EXHAUSTED, or UNAVAILABLE where the call could not be
  // audited: the handler answers so and does nothing else.
  absl::StatusOr<Admission> Authorize(const grpc::CallbackServerContext& context,
                                      const RpcMethod& method) const;

 private:
  absl::StatusOr<Identity> Identify(const grpc::CallbackServerContext& context) const;

  AccessControl* const access_;
  const AuditLog* const audit_;
  const bool client_certificates_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_ACCESS_GATE_H_
