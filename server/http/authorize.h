#ifndef CALSERVE_SERVER_HTTP_AUTHORIZE_H_
#define CALSERVE_SERVER_HTTP_AUTHORIZE_H_

#include <httplib.h>

#include "absl/status/statusor.h"
#include "server/access/access_control.h"

namespace calserve {

// Who sends this request, if they have one of the roles: by its Authorization header or, over TLS, a verified
// client certificate. `access` null: everybody may do everything.
absl::StatusOr<Identity> Authorize(AccessControl* access, const httplib::Request& request, Roles any_of);

// The same for a handler's first line: false where the answer has been made, 401, 403 or 429 with a sentence
// in plain text.
bool Authorized(AccessControl* access, Roles any_of, const httplib::Request& request,
                httplib::Response& response);

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_AUTHORIZE_H_
