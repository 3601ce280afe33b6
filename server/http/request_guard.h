#ifndef CALSERVE_SERVER_HTTP_REQUEST_GUARD_H_
#define CALSERVE_SERVER_HTTP_REQUEST_GUARD_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace calserve {

// Whether a browser's request may have come from our own page. A page of another site can make a browser call
// this port, and by rebinding its DNS name to this machine even read the answers; what it cannot do is to
// forge these headers.
//   Host    an IP address, localhost, or one of `allowed_hosts`; a port may follow
//   Origin  where it is sent: http or https, and the same host and port as Host
// PERMISSION_DENIED with what it was otherwise. `host` and `origin` are the headers, empty where they are not
// there; more than one Host is the caller's to refuse.
absl::Status CheckSameSite(absl::string_view host, absl::string_view origin,
                           const std::vector<std::string>& allowed_hosts);

// The same for figures that change nothing: also where Host has no dot ("calserve:8501"), which is how a
// scraper finds a neighbour and no name that another site could have, and where there is none.
absl::Status CheckScrape(absl::string_view host, absl::string_view origin,
                         const std::vector<std::string>& allowed_hosts);

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_REQUEST_GUARD_H_
