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

Admission AccessGate::Authorize(grpc::CallbackServerContext& context, const RpcMethod& method) const {
  Admission admission(log_, CallLog::Begin(context, method));
  const absl::StatusOr<Identity> identity = Identify(context);
  admission.who_ = identity.ok() ? identity->name : kUnknownCaller;
  if (method.audited() && audit_ != nullptr) {
    admission.audit_.reset(audit_);
    admission.record_ = std::make_unique<AuditRecord>(AuditRecord{
        admission.who_, context.peer(), method.name, {}, std::string(admission.ids().request_id())});
  }
  admission.status_ = identity.status();
  if (identity.ok()) admission.status_ = AccessControl::CheckRoles(*identity, method.any_of);
  if (admission.ok() && admission.audit_ != nullptr) admission.status_ = audit_->CheckWritable();
  if (!admission.ok() || access_ == nullptr) return admission;
  absl::StatusOr<ClientLimits::Permit> permit = access_->Admit(admission.who_);
  admission.status_ = permit.status();
  if (permit.ok()) admission.permit_ = *std::move(permit);
  return admission;
}

}  // namespace calserve
