#ifndef CALSERVE_SERVER_LOGGING_LOG_FORMATTER_H_
#define CALSERVE_SERVER_LOGGING_LOG_FORMATTER_H_

#include <spdlog/formatter.h>

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/logging/log.h"

namespace calserve {

// One line of the log, with its end. `logger`: empty for the server's own.
//   text  2026-11-29T03:49:30.123456Z info serving address=127.0.0.1:8500
//   json {"time":"2026-11-29T03:49:30.123456Z","level":"info","message":"serving","address":"127.0.0.1:8500"}
// `request` may be null.
std::string FormatLine(bool json, absl::Time time, spdlog::level::level_enum level, absl::string_view logger,
                       absl::string_view message, const RequestContext* request,
                       absl::Span<const LogField> fields);

// Formats what spdlog is given, with the fields of Log and the ids of the thread's RequestScope.
class LogFormatter final : public spdlog::formatter {
 public:
  explicit LogFormatter(bool json) : json_(json) {}
  void format(const spdlog::details::log_msg& line, spdlog::memory_buf_t& out) override;
  std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<LogFormatter>(json_); }

 private:
  const bool json_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_LOGGING_LOG_FORMATTER_H_
