#include "server/http/authorize.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/http/tls_stream.h"

namespace calserve {

absl::StatusOr<Identity> Authorize(AccessControl* access, const httplib::Request& request, Roles any_of) {
  if (access == nullptr) return Identity{.roles = Roles::All()};
  if (request.get_header_value_count("Authorization") > 1) {
    return absl::UnauthenticatedError("a request must have one Authorization, not several");
  }
  const std::string authorization = request.get_header_value("Authorization");
  const std::vector<std::string> names =
      request.ssl == nullptr ? std::vector<std::string>() : CertificateNames(request.ssl);
  ASSIGN_OR_RETURN(Identity identity, access->Authorize({authorization, names}, any_of));
  // A request is over at once: its place is not held.
  RETURN_IF_ERROR(access->Admit(identity.name).status());
  return identity;
}

bool Authorized(AccessControl* access, Roles any_of, const httplib::Request& request,
                httplib::Response& response) {
  const absl::Status status = Authorize(access, request, any_of).status();
  if (status.ok()) return true;
  response.status = absl::IsUnauthenticated(status) ? 401 : absl::IsPermissionDenied(status) ? 403 : 429;
  if (absl::IsUnauthenticated(status)) response.set_header("WWW-Authenticate", "Bearer");
  response.set_content(absl::StrCat(status.message(), "\n"), "text/plain; charset=utf-8");
  return false;
}

}  // namespace calserve
