#ifndef CALSERVE_SERVER_ACCESS_AUDIT_LOG_H_
#define CALSERVE_SERVER_ACCESS_AUDIT_LOG_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace spdlog {
class logger;
}

namespace calserve {

// One action that changes what is served, or an attempt at one.
struct AuditRecord {
  std::string who;     // Identity::name
  std::string peer;    // where from: "ipv4:10.0.0.7:51234"; empty: not known
  std::string action;  // "calserve.v1.CalibrationService/ActivateCalibrator"
  // What it was done to and with: {"model", "m"}, {"before", "3"}, {"after", "4"}.
  std::vector<std::pair<std::string, std::string>> details;
  std::string request_id;  // by which the log has more of it; empty: not known
};

// Writes a line an action: `audit who=... peer=... action=... KEY=VALUE... outcome=OK`. Values with anything
// but plain characters are quoted and escaped, so that no value can look like another line, or another key.
// Thread-safe.
class AuditLog final {
 public:
  // Appends to `file`, made with mode 0600; empty: to where the server logs, whatever its level.
  // FAILED_PRECONDITION where it cannot be written.
  static absl::StatusOr<std::unique_ptr<AuditLog>> Open(const std::string& file);

  void Record(const AuditRecord& record, const absl::Status& outcome) const;

  // The line without its time, for tests and other loggers.
  static std::string Line(const AuditRecord& record, const absl::Status& outcome);

 private:
  AuditLog(std::shared_ptr<spdlog::logger> logger, bool to_file)
      : logger_(std::move(logger)), to_file_(to_file) {}

  const std::shared_ptr<spdlog::logger> logger_;
  const bool to_file_;  // else with the server's own lines, and as they are
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_ACCESS_AUDIT_LOG_H_
