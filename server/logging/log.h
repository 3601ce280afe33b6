#ifndef CALSERVE_SERVER_LOGGING_LOG_H_
#define CALSERVE_SERVER_LOGGING_LOG_H_

#include <spdlog/common.h>

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/logging/request_context.h"

namespace spdlog {
class logger;
}

namespace calserve {

// A named value of a line. Names are ours, snake_case; values may be anybody's, but no tensor, image, label
// or attribute value.
struct LogField {
  using Value = std::variant<absl::string_view, int64_t, double>;

  LogField(absl::string_view name_in, absl::string_view value_in) : name(name_in), value(value_in) {}
  LogField(absl::string_view name_in, const std::string& value_in) : name(name_in), value(value_in) {}
  LogField(absl::string_view name_in, const char* value_in)
      : name(name_in), value(absl::string_view(value_in)) {}
  LogField(absl::string_view name_in, double value_in) : name(name_in), value(value_in) {}
  template <std::integral T>
  LogField(absl::string_view name_in, T value_in) : name(name_in), value(static_cast<int64_t>(value_in)) {}

  absl::string_view name;
  Value value;  // A text is a view: it outlives the call.
};

enum class LogFormat { kText, kJson };

// Of the option's "text", "json" or "auto": text where standard error is a terminal. Any other word is auto.
LogFormat LogFormatFor(absl::string_view option, bool stderr_is_terminal);

// From here on every line of spdlog's default logger goes to standard error in that format; also what spdlog
// itself complains of, and an exception that ends the process. Again with another format is allowed, before
// there are other threads.
void StartLogging(LogFormat format);

// Logs one line. spdlog's own calls (spdlog::info and so on) end in the same format, without fields.
void Log(spdlog::level::level_enum level, absl::string_view message, absl::Span<const LogField> fields = {});
inline void Log(spdlog::level::level_enum level, absl::string_view message,
                std::initializer_list<LogField> fields) {
  Log(level, message, absl::Span<const LogField>(fields.begin(), fields.size()));
}
inline void LogInfo(absl::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(spdlog::level::info, message, fields);
}
inline void LogWarning(absl::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(spdlog::level::warn, message, fields);
}
inline void LogError(absl::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(spdlog::level::err, message, fields);
}
inline void LogCritical(absl::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(spdlog::level::critical, message, fields);
}
// By another logger than the default one.
void LogTo(spdlog::logger& logger, spdlog::level::level_enum level, absl::string_view message,
           absl::Span<const LogField> fields);
// Whether a line of that level would be written: where making one costs anything, ask first.
bool LogsAt(spdlog::level::level_enum level);

// The least severe that is logged: "debug", "info", "warn" or "error". Thread-safe, at any time.
std::string LogLevel();
// INVALID_ARGUMENT for another word.
absl::Status SetLogLevel(absl::string_view level);

}  // namespace calserve

#endif  // CALSERVE_SERVER_LOGGING_LOG_H_
