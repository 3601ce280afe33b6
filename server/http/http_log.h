#ifndef CALSERVE_SERVER_HTTP_HTTP_LOG_H_
#define CALSERVE_SERVER_HTTP_HTTP_LOG_H_

#include <httplib.h>

#include "absl/time/time.h"
#include "server/logging/line_limit.h"
#include "server/logging/request_context.h"

namespace calserve {

// The lines of the admin port's requests. Thread-safe.
class HttpLog final {
 public:
  // Takes over the ids of the request's headers, or makes them; says X-Request-Id in the answer.
  static RequestContext Begin(const httplib::Request& request, httplib::Response& response);
  // After the request was answered, within its RequestScope: a line at level debug, or error for 500. Never
  // the query, which is the caller's, nor a header.
  void Answered(const httplib::Request& request, const httplib::Response& response, absl::Duration took);

 private:
  LineLimit faults_{5};
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_HTTP_LOG_H_
