#include "server/base/error_info.h"

#include <utility>

#include "absl/strings/cord.h"

namespace calserve {
namespace {

constexpr char kReason[] = "calserve/reason";
constexpr char kField[] = "calserve/field";
constexpr char kRetryAfter[] = "calserve/retry_after";

absl::Status With(absl::Status status, absl::string_view key, absl::string_view value) {
  status.SetPayload(key, absl::Cord(value));  // No effect on an OK status.
  return status;
}

std::string Payload(const absl::Status& status, absl::string_view key) {
  const absl::optional<absl::Cord> value = status.GetPayload(key);
  return value.has_value() ? std::string(*value) : std::string();
}

}  // namespace

absl::Status WithReason(absl::Status status, absl::string_view reason) {
  return With(std::move(status), kReason, reason);
}

absl::Status WithField(absl::Status status, absl::string_view field) {
  return With(std::move(status), kField, field);
}

absl::Status WithRetryAfter(absl::Status status, absl::Duration delay) {
  return With(std::move(status), kRetryAfter, absl::FormatDuration(delay));
}

absl::Status WithMessage(const absl::Status& status, absl::string_view message) {
  absl::Status named(status.code(), message);
  status.ForEachPayload(
      [&named](absl::string_view key, const absl::Cord& value) { named.SetPayload(key, value); });
  return named;
}

std::string ErrorReason(const absl::Status& status) { return Payload(status, kReason); }

std::string ErrorField(const absl::Status& status) { return Payload(status, kField); }

std::optional<absl::Duration> ErrorRetryAfter(const absl::Status& status) {
  absl::Duration delay;
  if (!absl::ParseDuration(Payload(status, kRetryAfter), &delay)) return std::nullopt;
  return delay;
}

}  // namespace calserve
