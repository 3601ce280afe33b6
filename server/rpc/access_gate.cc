#include "server/rpc/access_gate.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>
#include <grpcpp/server_context.h>

#include <iterator>
#include <vector>

#include "server/base/error_info.h"
#include "server/base/status_macros.h"

namespace calserve {
namespace {

absl::string_view View(grpc::string_ref text) { return {text.data(), text.size()}; }

// The alternative names of the peer's certificate; its common name where it has none.
std::vector<std::string> CertificateNames(const grpc::CallbackServerContext& context) {
  std::vector<std::string> names;
  const std::shared_ptr<const grpc::AuthContext> peer = context.auth_context();
  if (peer == nullptr || !peer->IsPeerAuthenticated()) return names;
  for (const char* property : {GRPC_X509_SAN_PROPERTY_NAME, GRPC_X509_CN_PROPERTY_NAME}) {
    for (const grpc::string_ref& name : peer->FindPropertyValues(property)) {
      names.emplace_back(name.data(), name.size());
    }
    if (!names.empty()) break;
  }
  return names;
}

}  // namespace

absl::StatusOr<Identity> AccessGate::Identify(const grpc::CallbackServerContext& context) const {
  if (access_ == nullptr || (!access_->enabled() && !client_certificates_))
    return Identity{.roles = Roles::All()};
  std::vector<std::string> names;
  if (client_certificates_) names = CertificateNames(context);
  const auto [begin, end] = context.client_metadata().equal_range("authorization");
  Credentials credentials{.authorization = {}, .certificate_names = names};
  if (begin != end) {
    if (std::next(begin) != end) {
      return WithReason(absl::UnauthenticatedError("a call must have one authorization, not several"),
                        "TOKEN_INVALID");
    }
    credentials.authorization = View(begin->second);
  }
  return access_->Identify(credentials);
}

absl::StatusOr<Admission> AccessGate::Authorize(const grpc::CallbackServerContext& context,
                                                const RpcMethod& method) const {
  const absl::StatusOr<Identity> identity = Identify(context);
  Admission admission;
  if (method.audited() && audit_ != nullptr) {
    admission.audit_.reset(audit_);
    admission.record_ = std::make_unique<AuditRecord>(
        AuditRecord{identity.ok() ? identity->name : kUnknownCaller, context.peer(), method.name, {}});
  }
  absl::Status status = identity.status();
  if (status.ok()) status = AccessControl::CheckRoles(*identity, method.any_of);
  if (status.ok() && admission.audit_ != nullptr) status = audit_->CheckWritable();
  if (status.ok()) {
    admission.who_ = identity->name;
    if (access_ == nullptr) return admission;
    absl::StatusOr<ClientLimits::Permit> permit = access_->Admit(admission.who_);
    if (permit.ok()) {
      admission.permit_ = *std::move(permit);
      return admission;
    }
    status = permit.status();
  }
  admission.End(status);
  return status;
}

}  // namespace calserve
