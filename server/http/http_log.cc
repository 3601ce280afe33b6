#include "server/http/http_log.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "server/logging/log.h"

namespace calserve {
namespace {

constexpr char kRequestId[] = "X-Request-Id";
constexpr int kInternalError = 500;

// Of a header that is there once; else empty.
std::string Header(const httplib::Request& request, const char* name) {
  return request.get_header_value_count(name) == 1 ? request.get_header_value(name) : std::string();
}

}  // namespace

RequestContext HttpLog::Begin(const httplib::Request& request, httplib::Response& response) {
  const RequestContext ids =
      RequestContext::Make(Header(request, kRequestId), Header(request, "traceparent"));
  response.set_header(kRequestId, std::string(ids.request_id()));
  return ids;
}

void HttpLog::Answered(const httplib::Request& request, const httplib::Response& response,
                       absl::Duration took) {
  const bool fault = response.status == kInternalError;
  const auto level = fault ? spdlog::level::err : spdlog::level::debug;
  if (!LogsAt(level)) return;
  const std::optional<int64_t> suppressed = fault ? faults_.Take(absl::Now()) : 0;
  if (!suppressed.has_value()) return;
  std::vector<LogField> fields = {{"method", request.method},
                                  {"path", request.path},
                                  {"status", response.status},
                                  {"duration_ms", absl::ToDoubleMilliseconds(took)}};
  if (*suppressed > 0) fields.emplace_back("suppressed", *suppressed);
  Log(level, fault ? "http request failed" : "http request", fields);
}

}  // namespace calserve
