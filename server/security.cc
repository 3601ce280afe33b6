#include "server/security.h"

#include <stop_token>
#include <string>

#include "absl/time/time.h"
#include "server/base/monotonic_clock.h"
#include "server/base/status_macros.h"
#include "server/logging/log.h"
#include "text/loopback.h"

namespace calserve {
namespace {

constexpr absl::Duration kLookInterval = absl::Seconds(1);

void SayWhatIsOpen(const ServerConfig& config) {
  const bool grpc_beyond = !IsLoopback(config.grpc.listen);
  if (!config.tls.enabled() && grpc_beyond) {
    LogWarning(absl::StrCat("insecure: gRPC at ", config.grpc.listen,
                            " is plain text and can be reached from other machines"));
  }
  if (config.admin.enabled() && !config.AdminTls() && !IsLoopback(config.admin.listen)) {
    LogWarning(absl::StrCat("insecure: the admin port at ", config.admin.listen,
                            " is plain text and can be reached from other machines"));
  }
  if (grpc_beyond && !config.access.configured()) {
    LogWarning(
        absl::StrCat("everybody who reaches ", config.grpc.listen,
                     config.tls.client_ca_file.empty() ? "" : " with a certificate of tls.client_ca_file",
                     " may do everything: neither tokens nor certificate names are set"));
  }
}

}  // namespace

absl::StatusOr<Security> OpenSecurity(const ServerConfig& config, const Clock& clock) {
  Security out;
  ASSIGN_OR_RETURN(out.audit, AuditLog::Open(config.access.audit_file));
  ASSIGN_OR_RETURN(out.access, AccessControl::Create(config.access, clock, MonotonicClock::System()));
  if (config.tls.enabled()) {
    ASSIGN_OR_RETURN(out.tls, TlsFiles::Create(config.tls));
  }
  SayWhatIsOpen(config);
  out.reloader = std::make_unique<Periodic>(
      kLookInterval, [access = out.access.get(), tls = out.tls.get()](const std::stop_token&) {
        access->Reload();
        if (tls != nullptr) tls->Reload();
      });
  return out;
}

}  // namespace calserve
