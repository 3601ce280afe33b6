#ifndef CALSERVE_SERVER_HTTP_DASHBOARD_JSON_H_
#define CALSERVE_SERVER_HTTP_DASHBOARD_JSON_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/http/dashboard_view.h"

namespace calserve {

// The values as JSON on one line: names are those of the fields, times Unix milliseconds, what is unset null.
// Doubles round-trip exactly. Text that is not UTF-8 has its bad bytes replaced.
std::string ToJson(const DashboardValues& values);
// Columns of equal length: {"calibration": {"time": [...], "ece": [...], ...}, "traffic": {...}}.
std::string ToJson(const HistoryValues& values);
std::string ToJson(const std::vector<CalibratorValues>& calibrators);
// Who asks: whether that is asked at all, what they may do, and the version of the server.
struct SessionValues {
  bool authentication = false;
  bool admin = false;
  std::string name;
  std::string version;
};
std::string ToJson(const SessionValues& session);
// {"error": {"code": "ABORTED", "message": "..."}}
std::string ErrorToJson(const absl::Status& error);

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_DASHBOARD_JSON_H_
