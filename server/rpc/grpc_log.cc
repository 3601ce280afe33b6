#include "server/rpc/grpc_log.h"

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

void LogForGrpc(gpr_log_func_args* line) {
  static LineLimit& limit = *new LineLimit(kLinesPerSecond);  // gRPC may log while static objects go.
  const auto level = line->severity == GPR_LOG_SEVERITY_ERROR  ? spdlog::level::err
                     : line->severity == GPR_LOG_SEVERITY_INFO ? spdlog::level::info
                                                               : spdlog::level::debug;
  if (!LogsAt(level)) return;
  const std::optional<int64_t> suppressed = limit.Take(absl::Now());
  if (!suppressed.has_value()) return;
  absl::string_view file = line->file;
  file.remove_prefix(file.rfind('/') == absl::string_view::npos ? 0 : file.rfind('/') + 1);
  const std::string source = absl::StrCat(file, ":", line->line);
  LogField fields[] = {{"error", line->message}, {"source", source}, {"suppressed", *suppressed}};
  Log(level, "gRPC", absl::MakeSpan(fields, *suppressed > 0 ? 3 : 2));
}

}  // namespace

void RouteGrpcLog() { gpr_set_log_function(LogForGrpc); }

}  // namespace calserve
