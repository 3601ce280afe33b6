#include "server/logging/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/logging/line_limit.h"
#include "server/logging/log_fields.h"
#include "server/logging/log_formatter.h"

namespace calserve {
namespace {

constexpr std::pair<absl::string_view, spdlog::level::level_enum> kLevels[] = {
    {"debug", spdlog::level::debug},
    {"info", spdlog::level::info},
    {"warn", spdlog::level::warn},
    {"error", spdlog::level::err}};

thread_local absl::Span<const LogField> fields_of_thread;
std::atomic<bool> as_json{true};

// For what cannot go by a logger.
void WriteRaw(spdlog::level::level_enum level, absl::string_view message, absl::Span<const LogField> fields) {
  const std::string line =
      FormatLine(as_json, absl::Now(), level, "", message, RequestScope::Current(), fields);
  std::fwrite(line.data(), 1, line.size(), stderr);
}

void OnSpdlogError(const std::string& error) {
  static LineLimit limit(1);
  const std::optional<int64_t> left_out = limit.Take(absl::Now());
  if (!left_out.has_value()) return;
  const LogField fields[] = {{"error", error}, {"suppressed", *left_out}};
  WriteRaw(spdlog::level::err, "a line could not be logged", fields);
}

[[noreturn]] void OnTerminate() {
  std::string what = "no exception";
  if (const std::exception_ptr thrown = std::current_exception()) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& e) {
      what = e.what();
    } catch (...) {
      what = "of an unknown type";
    }
  }
  const LogField fields[] = {{"exception", what}};
  WriteRaw(spdlog::level::critical, "terminated", fields);
  std::abort();
}

}  // namespace

absl::Span<const LogField> FieldsOfThread() { return fields_of_thread; }

LogFormat LogFormatFor(absl::string_view option, bool stderr_is_terminal) {
  if (option == "text") return LogFormat::kText;
  if (option == "json") return LogFormat::kJson;
  return stderr_is_terminal ? LogFormat::kText : LogFormat::kJson;
}

void StartLogging(LogFormat format) {
  as_json = format == LogFormat::kJson;
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  sink->set_formatter(std::make_unique<LogFormatter>(as_json));
  const spdlog::level::level_enum level = spdlog::default_logger()->level();
  auto logger = std::make_shared<spdlog::logger>("", std::move(sink));
  logger->set_level(level);
  logger->flush_on(spdlog::level::trace);
  logger->set_error_handler(OnSpdlogError);
  spdlog::set_default_logger(std::move(logger));
  std::set_terminate(OnTerminate);
}

void LogTo(spdlog::logger& logger, spdlog::level::level_enum level, absl::string_view message,
           absl::Span<const LogField> fields) {
  if (!logger.should_log(level)) return;
  const absl::Span<const LogField> before = std::exchange(fields_of_thread, fields);
  logger.log(level, spdlog::string_view_t(message.data(), message.size()));
  fields_of_thread = before;
}

void Log(spdlog::level::level_enum level, absl::string_view message, absl::Span<const LogField> fields) {
  LogTo(*spdlog::default_logger_raw(), level, message, fields);
}

bool LogsAt(spdlog::level::level_enum level) { return spdlog::default_logger_raw()->should_log(level); }

std::string LogLevel() {
  const spdlog::level::level_enum now = spdlog::default_logger_raw()->level();
  for (const auto& [name, level] : kLevels) {
    if (level == now) return std::string(name);
  }
  return now < spdlog::level::debug ? "debug" : "error";
}

absl::Status SetLogLevel(absl::string_view wanted) {
  for (const auto& [name, level] : kLevels) {
    if (name != wanted) continue;
    spdlog::default_logger_raw()->set_level(level);
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the level must be debug, info, warn or error; was '", wanted, "'"));
}

}  // namespace calserve
