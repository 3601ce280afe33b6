#include "client/errors.h"

#include "absl/strings/cord.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace calserve::client {
namespace {

constexpr char kErrorInfo[] = "type.googleapis.com/google.rpc.ErrorInfo";
constexpr char kBadRequest[] = "type.googleapis.com/google.rpc.BadRequest";
constexpr char kRetryInfo[] = "type.googleapis.com/google.rpc.RetryInfo";
constexpr char kUnreachable[] = "calserve/unreachable";

// The detail of one type, or an empty one.
template <typename Detail>
Detail DetailOf(const absl::Status& status, const char* type_url) {
  Detail detail;
  const absl::optional<absl::Cord> payload = status.GetPayload(type_url);
  if (payload.has_value() && !detail.ParseFromString(std::string(*payload))) detail.Clear();
  return detail;
}

}  // namespace

std::string ErrorReason(const absl::Status& status) {
  return DetailOf<google::rpc::ErrorInfo>(status, kErrorInfo).reason();
}

std::vector<std::string> ErrorFields(const absl::Status& status) {
  std::vector<std::string> fields;
  const auto bad_request = DetailOf<google::rpc::BadRequest>(status, kBadRequest);
  for (const auto& violation : bad_request.field_violations()) fields.push_back(violation.field());
  return fields;
}

std::optional<absl::Duration> RetryAfter(const absl::Status& status) {
  if (!status.GetPayload(kRetryInfo).has_value()) return std::nullopt;
  const auto info = DetailOf<google::rpc::RetryInfo>(status, kRetryInfo);
  return absl::Seconds(info.retry_delay().seconds()) + absl::Nanoseconds(info.retry_delay().nanos());
}

bool IsUnreachable(const absl::Status& status) { return status.GetPayload(kUnreachable).has_value(); }

void AddErrorDetails(absl::string_view serialized_rpc_status, absl::Status* status) {
  google::rpc::Status details;
  if (!details.ParseFromArray(serialized_rpc_status.data(), static_cast<int>(serialized_rpc_status.size())))
    return;
  for (const auto& detail : details.details())
    status->SetPayload(detail.type_url(), absl::Cord(detail.value()));
}

void AddReason(absl::string_view reason, absl::Status* status) {
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(reason));
  info.set_domain("calserve");
  status->SetPayload(kErrorInfo, absl::Cord(info.SerializeAsString()));
}

void AddRetryAfter(absl::Duration delay, absl::Status* status) {
  google::rpc::RetryInfo info;
  const int64_t nanos = absl::ToInt64Nanoseconds(delay);
  info.mutable_retry_delay()->set_seconds(nanos / 1'000'000'000);
  info.mutable_retry_delay()->set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
  status->SetPayload(kRetryInfo, absl::Cord(info.SerializeAsString()));
}

void MarkUnreachable(absl::Status* status) { status->SetPayload(kUnreachable, absl::Cord("1")); }

}  // namespace calserve::client
