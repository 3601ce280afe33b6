#include "server/rpc/call_log.h"

#include <grpcpp/server_context.h>

#include <iterator>
#include <optional>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/time/clock.h"
#include "server/base/error_info.h"
#include "server/logging/log.h"
#include "server/logging/trace_context.h"

namespace calserve {
namespace {

constexpr char kRequestId[] = "x-request-id";

// Of a header that is there once; else empty.
absl::string_view Header(const grpc::CallbackServerContext& context, const char* name) {
  const auto [begin, end] = context.client_metadata().equal_range(name);
  if (begin == end || std::next(begin) != end) return {};
  return {begin->second.data(), begin->second.size()};
}

spdlog::level::level_enum LevelOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
    case absl::StatusCode::kCancelled:  // The client has what it wants: a watch never ends otherwise.
      return spdlog::level::debug;
    case absl::StatusCode::kUnavailable:
      return ErrorReason(status) == "SHUTTING_DOWN" ? spdlog::level::info : spdlog::level::err;
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kUnknown:
      return spdlog::level::err;
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return spdlog::level::warn;
    default:
      return spdlog::level::info;
  }
}

}  // namespace

CallRecord CallLog::Begin(grpc::CallbackServerContext& context, const RpcMethod& method) {
  CallRecord call;
  call.method = &method;
  call.context = &context;
  call.ids = RequestContext::Make(Header(context, kRequestId), Header(context, "traceparent"));
  call.started = std::chrono::steady_clock::now();
  context.AddInitialMetadata(kRequestId, std::string(call.ids.request_id()));
  return call;
}

void CallLog::Ended(const CallRecord& call, absl::string_view who, const absl::Status& status) {
  if (!AsksForPredictions(call.method->rpc)) Count(call, status.code());
  Write(status.ok() ? "request" : "request failed", call, who, status);
}

void CallLog::Refused(const CallRecord& call, absl::string_view who, const absl::Status& status) {
  Count(call, status.code());
  Write("request refused", call, who, status);
}

void CallLog::MessageFailed(const CallRecord& call, absl::string_view who, const absl::Status& status) {
  Write("message failed", call, who, status);
}

void CallLog::MessageRefused(const CallRecord& call, absl::string_view who, const absl::Status& status) {
  MessageUnread(call, status);
  Write("message refused", call, who, status);
}

void CallLog::MessageUnread(const CallRecord& call, const absl::Status& status) {
  if (AsksForPredictions(call.method->rpc)) Count(call, status.code());
}

void CallLog::Count(const CallRecord& call, absl::StatusCode code) {
  if (call.counters != nullptr) {
    call.counters->CountCall(call.method->rpc, code);
  } else {
    predictor_.CountUnserved(call.method->rpc, code);
  }
}

void CallLog::Write(absl::string_view what, const CallRecord& call, absl::string_view who,
                    const absl::Status& status) {
  const spdlog::level::level_enum level = LevelOf(status);
  if (!LogsAt(level)) return;
  int64_t suppressed = 0;
  if (!LogsAt(spdlog::level::debug)) {  // There every call has a line.
    const std::optional<int64_t> left_out =
        limits_[static_cast<size_t>(status.code()) % kStatusCodes].Take(absl::Now());
    if (!left_out.has_value()) return;
    suppressed = *left_out;
  }
  const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - call.started;
  const std::string code = absl::StatusCodeToString(status.code()), peer = call.context->peer(),
                    reason = ErrorReason(status), field = ErrorField(status);
  const absl::string_view trace_state = Header(*call.context, "tracestate");
  absl::InlinedVector<LogField, 12> fields = {{"rpc", call.method->name}, {"code", code}};
  if (!reason.empty()) fields.emplace_back("reason", reason);
  if (!field.empty()) fields.emplace_back("field", field);
  if (level == spdlog::level::err) fields.emplace_back("error", status.message());
  if (call.counters != nullptr) {
    fields.emplace_back("model", call.model);
    fields.emplace_back("version", call.version);
  } else if (!call.asked_model.empty()) {
    fields.emplace_back("model", call.asked_model);
  }
  fields.emplace_back("client", who);
  fields.emplace_back("peer", peer);
  fields.emplace_back("duration_ms", taken.count());
  if (!call.ids.parent_span_id().empty() && IsTraceState(trace_state)) {
    fields.emplace_back("tracestate", trace_state);
  }
  if (suppressed > 0) fields.emplace_back("suppressed", suppressed);
  const RequestScope scope(call.ids);
  Log(level, what, fields);
}

}  // namespace calserve
