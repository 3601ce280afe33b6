#ifndef CALSERVE_SERVER_BASE_ERROR_INFO_H_
#define CALSERVE_SERVER_BASE_ERROR_INFO_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace calserve {

// What a program may want to know of an error beside its code and sentence, carried as payloads of
// absl::Status from the room that knows it to rpc/, which sends it as google.rpc details. Each returns the
// status with one more payload and leaves an OK status alone.

// A stable UPPER_SNAKE reason: "QUEUE_FULL".
absl::Status WithReason(absl::Status status, absl::string_view reason);
// The field of the request that broke the rule: "inputs[3].tensor.shape".
absl::Status WithField(absl::Status status, absl::string_view field);
// When a retry may succeed; InfiniteDuration: none will, whatever is usual for the code.
absl::Status WithRetryAfter(absl::Status status, absl::Duration delay);

// The same with another sentence.
absl::Status WithMessage(const absl::Status& status, absl::string_view message);

// What was put there; empty or nullopt if nothing was.
std::string ErrorReason(const absl::Status& status);
std::string ErrorField(const absl::Status& status);
std::optional<absl::Duration> ErrorRetryAfter(const absl::Status& status);

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_ERROR_INFO_H_
