#ifndef CALSERVE_SERVER_SECURITY_H_
#define CALSERVE_SERVER_SECURITY_H_

#include <memory>

#include "absl/status/statusor.h"
#include "server/access/access_control.h"
#include "server/access/audit_log.h"
#include "server/access/tls_files.h"
#include "server/base/clock.h"
#include "server/base/periodic.h"
#include "server/config/server_config.h"

namespace calserve {

// Who may do what, what is kept of it, and what is shown in a handshake; the files of all of them are looked
// at every second. A part of main.cc.
struct Security {
  std::unique_ptr<AuditLog> audit;
  std::unique_ptr<AccessControl> access;
  std::unique_ptr<TlsFiles> tls;       // null: plain text
  std::unique_ptr<Periodic> reloader;  // Last: its thread uses the others.
};

// Says in the log what is open to whom. The error names the option.
absl::StatusOr<Security> OpenSecurity(const ServerConfig& config, const Clock& clock);

}  // namespace calserve

#endif  // CALSERVE_SERVER_SECURITY_H_
