#ifndef CALSERVE_SERVER_HTTP_AUTHORIZE_H_
#define CALSERVE_SERVER_HTTP_AUTHORIZE_H_

#include <httplib.h>

#include <string>

#include "absl/status/statusor.h"
#include "server/access/access_control.h"

namespace calserve {

// Who sends this request: by its Authorization header or, over TLS, a verified client certificate. `access`
// null: everybody may do everything.
absl::StatusOr<Identity> Identify(const AccessControl* access, const httplib::Request& request);

// A request's place among its client's, for as long as it is being answered. Without access control clients
// are not told apart, and there are no limits here: what others ask by gRPC must not keep out who looks at
// it.
absl::StatusOr<ClientLimits::Permit> Admit(AccessControl* access, const Identity& identity);

// Both for a handler's first line, where any of the roles is enough: false where the answer has been made,
// 401, 403 or 429 with a sentence in plain text.
bool Authorized(AccessControl* access, Roles any_of, const httplib::Request& request,
                httplib::Response& response);

// Where a request comes from, as gRPC says it: "ipv4:10.0.0.7:51234".
std::string PeerText(const httplib::Request& request);

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_AUTHORIZE_H_
