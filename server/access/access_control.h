#ifndef CALSERVE_SERVER_ACCESS_ACCESS_CONTROL_H_
#define CALSERVE_SERVER_ACCESS_ACCESS_CONTROL_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/access/client_limits.h"
#include "server/access/roles.h"
#include "server/base/clock.h"
#include "server/base/monotonic_clock.h"

namespace calserve {

struct AccessOptions {
  std::string tokens_file;                // static bearer tokens, hashed (token_file.h); empty: none
  std::string jwks_file;                  // public keys that JWTs may be signed with; empty: no JWTs
  std::string jwt_issuer, jwt_audience;   // what a JWT's iss must be and its aud must have; with jwks_file
  std::string jwt_roles_claim = "roles";  // of names, as a list or as words with spaces between them
  std::vector<std::string> client_names;  // NAME=ROLE+ROLE, of client certificates
  LimitOptions limits;
  std::string audit_file;  // empty: the server's log

  // Whether anybody is asked who they are.
  bool configured() const { return !tokens_file.empty() || !jwks_file.empty() || !client_names.empty(); }
};

// INVALID_ARGUMENT where the options do not fit together; reads no file.
absl::Status CheckAccessOptions(const AccessOptions& options);

// Who calls. The name says how it is known, so that nobody can take another's by choosing a name:
// "token:NAME", "jwt:SUBJECT", "cert:NAME", or "anonymous".
struct Identity {
  std::string name = "anonymous";
  Roles roles;
};

// What a caller shows. Its views are of the call.
struct Credentials {
  absl::string_view authorization;  // the header: "Bearer TOKEN"; empty where there is none
  // Of a client certificate that the TLS library has verified: its alternative names, or its common name
  // where it has none. Empty where there is no certificate.
  absl::Span<const std::string> certificate_names;
};

// Who may do what, for gRPC and HTTP alike. It promises:
// - Where access is not configured everybody may do everything, as "anonymous" or the name of their
//   certificate. (The configuration keeps such a server on loopback, or says that it does not.)
// - Where it is, a caller without valid credentials is UNAUTHENTICATED and one without the role
//   PERMISSION_DENIED. A bearer token, if there is one, is all that counts: a bad token is not made good by a
//   certificate. An answer never says which of a token's faults it was refused for beyond what its bearer can
//   know, nor holds any of it.
// - Files that change are read again by Reload; one that cannot be read, or is wrong, leaves what was in
//   force before, and is logged.
// - No call waits for I/O; what is kept of callers is bounded. Thread-safe.
class AccessControl final {
 public:
  // Reads the files. INVALID_ARGUMENT or FAILED_PRECONDITION that names the option or the file and line. The
  // clocks outlive the object.
  static absl::StatusOr<std::unique_ptr<AccessControl>> Create(const AccessOptions& options,
                                                               const Clock& clock,
                                                               MonotonicClock& monotonic_clock);
  ~AccessControl();

  bool enabled() const { return enabled_; }

  // Who calls, if they have at least one of the roles `any_of`: Identify, then CheckRoles.
  absl::StatusOr<Identity> Authorize(const Credentials& credentials, Roles any_of) const;
  // Who calls; UNAUTHENTICATED.
  absl::StatusOr<Identity> Identify(const Credentials& credentials) const;
  // PERMISSION_DENIED where the identity has none of the roles.
  static absl::Status CheckRoles(const Identity& identity, Roles any_of);

  // One more call of the identity of this name, for as long as the permit lives; RESOURCE_EXHAUSTED with
  // RetryInfo beyond its limits.
  absl::StatusOr<ClientLimits::Permit> Admit(absl::string_view name) { return limits_.Admit(name); }

  // Looks whether files have changed; call it every second or so, from one thread.
  void Reload();

 private:
  struct Sources;  // what the files said

  AccessControl(const AccessOptions& options, const Clock& clock, MonotonicClock& monotonic_clock);

  const AccessOptions options_;
  const bool enabled_;
  const Clock& clock_;
  const std::unique_ptr<Sources> sources_;
  ClientLimits limits_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_ACCESS_ACCESS_CONTROL_H_
