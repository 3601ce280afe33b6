#include "server/rpc/library_logs.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "server/logging/line_limit.h"
#include "server/logging/log.h"

namespace calserve {
namespace {

constexpr int kLinesPerSecond = 5;

void LogFor(absl::string_view library, LineLimit& limit, spdlog::level::level_enum level,
            absl::string_view file, int line, absl::string_view message) {
  if (!LogsAt(level)) return;
  const std::optional<int64_t> suppressed = limit.Take(absl::Now());
  if (!suppressed.has_value()) return;
  file.remove_prefix(file.rfind('/') == absl::string_view::npos ? 0 : file.rfind('/') + 1);
  const std::string source = absl::StrCat(file, ":", line);
  LogField fields[] = {{"error", message}, {"source", source}, {"suppressed", *suppressed}};
  Log(level, library, absl::MakeSpan(fields, *suppressed > 0 ? 3 : 2));
}

// The limits outlive all: both may log while static objects go.
void LogForGrpc(gpr_log_func_args* line) {
  static LineLimit& limit = *new LineLimit(kLinesPerSecond);
  LogFor("gRPC", limit,
         line->severity == GPR_LOG_SEVERITY_ERROR  ? spdlog::level::err
         : line->severity == GPR_LOG_SEVERITY_INFO ? spdlog::level::info
                                                   : spdlog::level::debug,
         line->file, line->line, line->message);
}

// What Protobuf calls errors are a client's: texts that are not UTF-8.
void LogForProtobuf(google::protobuf::LogLevel level, const char* file, int line,
                    const std::string& message) {
  static LineLimit& limit = *new LineLimit(kLinesPerSecond);
  LogFor("Protobuf", limit,
         level >= google::protobuf::LOGLEVEL_WARNING ? spdlog::level::warn : spdlog::level::info, file, line,
         message);
}

}  // namespace

void RouteLibraryLogs() {
  gpr_set_log_function(LogForGrpc);
  google::protobuf::SetLogHandler(LogForProtobuf);
}

}  // namespace calserve
