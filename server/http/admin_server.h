#ifndef CALSERVE_SERVER_HTTP_ADMIN_SERVER_H_
#define CALSERVE_SERVER_HTTP_ADMIN_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/access/access_control.h"
#include "server/access/audit_log.h"
#include "server/access/tls_files.h"
#include "server/http/dashboard_options.h"
#include "server/http/dashboard_view.h"
#include "server/http/server_view.h"

namespace calserve {

struct AdminOptions {
  std::string listen = "127.0.0.1:8501";  // host:port; port 0 takes a free one; "" or "off": no admin port
  int threads = 8;                        // each serves one connection at a time, beside the viewers'
  int max_waiting = 16;                   // connections for a thread; what comes beyond it gets 503 at once
  absl::Duration max_head = absl::Seconds(5);         // from a thread's taking it to the end of its headers
  absl::Duration max_connection = absl::Seconds(10);  // from a thread's taking it to its end
  bool open_metrics = false;                          // /metrics to anybody, also where access is configured
  int max_request_bytes = 32 << 10;  // read from one connection, request line and headers included
  DashboardOptions dashboard;

  bool enabled() const { return !listen.empty() && listen != "off"; }
};

// Who may see what, and over what. All outlive the server.
struct AdminSecurity {
  AccessControl* access = nullptr;  // null: everybody may see everything
  const TlsFiles* tls = nullptr;    // null: plain text
  const AuditLog* audit = nullptr;  // of what is changed by the page; null: not kept
};

// The admin port, HTTP/1.1, over TLS where there is a certificate, one request a connection:
//   GET /metrics        200, Prometheus's text format; 401 and 403 without the role read, where access is
//                       configured
//   GET /healthz        200 as long as the process answers
//   GET /readyz         200 while the server is ready, 503 with the reason while it is not
//   GET /, /api/v1/...  the page, where there is a dashboard (dashboard_api.h)
// A client that sends or takes its bytes slowly gives way to others when all threads are busy (crowd.h).
// HEAD is GET without the body, other methods are 405, other paths 404. A request's body is not read. Plain
// header: cpp-httplib stays in this room's .cc files.
class AdminServer {
 public:
  // Listens and serves on threads of its own. UNAVAILABLE where the address cannot be had, naming it. `view`
  // and `dashboard` (null: there is no page) outlive the server.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(const AdminOptions& options,
                                                            const ServerView& view,
                                                            AdminSecurity security = {},
                                                            DashboardView* dashboard = nullptr);
  // Ends at once: a client that has sent its request still gets its answer, others are cut off. Viewers are
  // told that it ends.
  virtual ~AdminServer() = default;

  // host:port that it listens on; the port chosen where options.listen has port 0.
  virtual std::string address() const = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_ADMIN_SERVER_H_
