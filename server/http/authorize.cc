#include "server/http/authorize.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/http/tls_stream.h"

namespace calserve {

absl::StatusOr<Identity> Identify(const AccessControl* access, const httplib::Request& request) {
  if (access == nullptr) return Identity{.roles = Roles::All()};
  if (request.get_header_value_count("Authorization") > 1) {
    return absl::UnauthenticatedError("a request must have one Authorization, not several");
  }
  const std::string authorization = request.get_header_value("Authorization");
  const std::vector<std::string> names =
      request.ssl == nullptr ? std::vector<std::string>() : CertificateNames(request.ssl);
  return access->Identify({authorization, names});
}

absl::StatusOr<ClientLimits::Permit> Admit(AccessControl* access, const Identity& identity) {
  if (access == nullptr || !access->enabled()) return ClientLimits::Permit();
  return access->Admit(identity.name);
}

bool Authorized(AccessControl* access, Roles any_of, const httplib::Request& request,
                httplib::Response& response) {
  const absl::StatusOr<Identity> identity = Identify(access, request);
  absl::Status status = identity.status();
  if (status.ok()) status = AccessControl::CheckRoles(*identity, any_of);
  if (status.ok()) status = Admit(access, *identity).status();  // It is over at once: its place is not held.
  if (status.ok()) return true;
  response.status = absl::IsUnauthenticated(status) ? 401 : absl::IsPermissionDenied(status) ? 403 : 429;
  if (absl::IsUnauthenticated(status)) response.set_header("WWW-Authenticate", "Bearer");
  response.set_content(absl::StrCat(status.message(), "\n"), "text/plain; charset=utf-8");
  return false;
}
std::string PeerText(const httplib::Request& request) {
  if (request.remote_addr.empty()) return "";
  const bool v6 = absl::StrContains(request.remote_addr, ':');
  return absl::StrCat(v6 ? "ipv6:[" : "ipv4:", request.remote_addr, v6 ? "]:" : ":", request.remote_port);
}

}  // namespace calserve
