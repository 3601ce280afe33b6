#include "server/rpc/status.h"

#include <optional>
#include <string>

#include "absl/time/time.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/base/error_info.h"
#include "server/logging/escape.h"

namespace calserve {
namespace {

constexpr absl::Duration kDefaultRetryDelay = absl::Milliseconds(50);
// Bytes of a sentence. It goes into the trailer three times, once with %XX for each byte that is not ASCII
// and twice in base64, and clients take trailers of up to 8 KiB: a longer one loses the whole status.
constexpr size_t kMaxMessage = 1000;
constexpr size_t kMaxField = 200;  // bytes of a name, which may be a client's

std::string Reason(const absl::Status& status) {
  std::string reason = ErrorReason(status);
  return reason.empty() ? absl::StatusCodeToString(status.code()) : reason;
}

std::optional<absl::Duration> RetryDelay(const absl::Status& status) {
  if (!absl::IsResourceExhausted(status) && !absl::IsUnavailable(status)) return std::nullopt;
  const absl::Duration delay = ErrorRetryAfter(status).value_or(kDefaultRetryDelay);
  return delay == absl::InfiniteDuration() ? std::nullopt : std::make_optional(delay);
}

std::string First(absl::string_view text, size_t most) {
  if (text.size() <= most) return std::string(text);
  size_t end = most;
  // Not within a UTF-8 character: a string of a message that is not UTF-8 cannot be parsed.
  while (end > 0 && (text[end] & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end));
}

// It may quote what a client sent, and be shown on another's terminal.
std::string Message(const absl::Status& status) {
  std::string escaped;
  AppendEscaped(First(status.message(), kMaxMessage), Quoting::kBare, kMaxMessage, &escaped);
  return First(escaped, kMaxMessage);
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(Message(status));
  google::rpc::ErrorInfo info;
  info.set_reason(Reason(status));
  info.set_domain("calserve");
  details.add_details()->PackFrom(info);
  if (const std::string field = ErrorField(status); !field.empty()) {
    google::rpc::BadRequest bad_request;
    auto* violation = bad_request.add_field_violations();
    violation->set_field(First(field, kMaxField));
    violation->set_description(Message(status));
    details.add_details()->PackFrom(bad_request);
  }
  if (const std::optional<absl::Duration> delay = RetryDelay(status)) {
    google::rpc::RetryInfo retry;
    const int64_t nanos = absl::ToInt64Nanoseconds(*delay);
    retry.mutable_retry_delay()->set_seconds(nanos / 1'000'000'000);
    retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
    details.add_details()->PackFrom(retry);
  }
  return {static_cast<grpc::StatusCode>(status.code()), Message(status), details.SerializeAsString()};
}

v1::Failure ToFailure(const absl::Status& status) {
  v1::Failure failure;
  failure.set_code(static_cast<int>(status.code()));
  failure.set_message(Message(status));
  failure.set_reason(Reason(status));
  if (const std::optional<absl::Duration> delay = RetryDelay(status)) {
    failure.set_retry_after_millis(std::max<int64_t>(1, absl::ToInt64Milliseconds(*delay)));
  }
  return failure;
}

}  // namespace calserve
