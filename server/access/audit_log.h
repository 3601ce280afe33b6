#ifndef CALSERVE_SERVER_ACCESS_AUDIT_LOG_H_
#define CALSERVE_SERVER_ACCESS_AUDIT_LOG_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/monotonic_clock.h"

namespace calserve {

inline constexpr char kUnknownCaller[] = "unknown";

// One action that changes what is served, or an attempt at one.
struct AuditRecord {
  std::string who;     // Identity::name; kUnknownCaller where the credentials are not valid, or not there
  std::string peer;    // where from: "ipv4:10.0.0.7:51234"; empty: not known
  std::string action;  // "calserve.v1.CalibrationService/ActivateCalibrator"
  // What it was done to and with: {"model", "m"}, {"before", "3"}, {"after", "4"}.
  std::vector<std::pair<std::string, std::string>> details;
  std::string request_id = {};  // by which the log has more of it; empty: not known
};

// Writes a line an action: `audit who=... peer=... action=... KEY=VALUE... outcome=OK`. Values with anything
// but plain characters are quoted and escaped, so that no value can look like another line, or another key.
// Whoever is refused (UNAUTHENTICATED, PERMISSION_DENIED, RESOURCE_EXHAUSTED) gets a line a second in all,
// after the first hundred, so that nobody can fill a disk for nothing; `skipped=N` of the next such line says
// how many there were in between.
//
// What cannot be audited is not done: CheckWritable comes before an action. A line that cannot be written all
// the same goes to the server's log as an error and is counted, and the file says how many are missing once
// it can be written again. Thread-safe.
class AuditLog final {
 public:
  // Appends to `file`, made with mode 0600, and begins a new one where that was moved or removed; empty: to
  // where the server logs, whatever its level, which is taken to be writable. FAILED_PRECONDITION where it
  // cannot be written. `clock` outlives the object.
  static absl::StatusOr<std::unique_ptr<AuditLog>> Open(const std::string& file,
                                                        MonotonicClock& clock = MonotonicClock::System());
  ~AuditLog();

  // Before an action that is recorded. UNAVAILABLE, with the reason AUDIT_UNAVAILABLE, where its line could
  // not be written.
  absl::Status CheckWritable() const;
  void Record(const AuditRecord& record, const absl::Status& outcome) const;

  // Lines that could not be written.
  int64_t failures() const;

  // The line without its time, for tests and other loggers.
  static std::string Line(const AuditRecord& record, const absl::Status& outcome);

 private:
  class Sink;

  explicit AuditLog(std::unique_ptr<Sink> sink);

  const std::unique_ptr<Sink> sink_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_ACCESS_AUDIT_LOG_H_
