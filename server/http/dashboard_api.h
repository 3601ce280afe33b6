#ifndef CALSERVE_SERVER_HTTP_DASHBOARD_API_H_
#define CALSERVE_SERVER_HTTP_DASHBOARD_API_H_

#include <httplib.h>

#include "absl/status/statusor.h"
#include "server/access/access_control.h"
#include "server/access/audit_log.h"
#include "server/http/dashboard_options.h"
#include "server/http/dashboard_view.h"
#include "server/http/message_cache.h"
#include "server/http/viewers.h"

namespace calserve {

inline constexpr char kEventsPath[] = "/api/v1/events";

// The page and what it calls (docs/dashboard.md). GET and HEAD:
//   /, /page.js, ...                                files; need no token, and say nothing of the server
//   /api/v1/session                                 who asks: {"authentication", "admin", "version"}
//   /api/v1/state?model=&version=&window=           the values now
//   /api/v1/events?model=&version=&window=          the same as a stream of events, at most one a second
//   /api/v1/history?model=&version=&window=&since=  points since, Unix milliseconds
//   /api/v1/calibrators?model=&version=
// POST, without a body:
//   /api/v1/activate?model=&version=&calibrator=&expected=
//   /api/v1/rollback?model=&version=&expected=
// Every request passes CheckSameSite; a call needs the role read, a POST admin, and is audited, also where it
// is refused. A client's limits hold for its calls, for a stream as long as it lasts. Where access is not
// configured everybody may see and nobody may change: a page that anyone on the machine can open, or behind
// an ssh tunnel, is no place to change what is served. Errors are JSON. Thread-safe.
class DashboardApi final {
 public:
  // `view`, `access` (null: not configured) and `audit` (null: not kept) outlive it.
  DashboardApi(const DashboardOptions& options, DashboardView& view, AccessControl* access,
               const AuditLog* audit)
      : options_(options),
        view_(view),
        access_(access),
        audit_(audit),
        messages_(view),
        viewers_(options.max_viewers) {}

  // False, with `response` untouched, for a path that is not of the page.
  bool Answer(const httplib::Request& request, httplib::Response& response);
  // Ends the streams, and lets none begin.
  void Stop() { viewers_.Stop(); }

 private:
  absl::Status AnswerCall(const httplib::Request& request, httplib::Response& response);
  bool asks_who() const { return access_ != nullptr && access_->enabled(); }
  absl::Status SameSite(const httplib::Request& request) const;
  absl::Status CheckRole(const Identity& identity, Role role) const;
  // Audits, whatever comes of it.
  absl::Status Change(const httplib::Request& request);
  absl::Status ChangeAs(const absl::StatusOr<Identity>& identity, const httplib::Request& request);
  absl::Status Stream(const httplib::Request& request, const Watch& watch, ClientLimits::Permit permit,
                      httplib::Response& response);

  const DashboardOptions options_;
  DashboardView& view_;
  AccessControl* const access_;
  const AuditLog* const audit_;
  MessageCache messages_;
  Viewers viewers_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_DASHBOARD_API_H_
