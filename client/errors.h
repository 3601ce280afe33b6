#ifndef CALSERVE_CLIENT_ERRORS_H_
#define CALSERVE_CLIENT_ERRORS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace calserve::client {

// What an error of this library says beside its code and sentence. The server's google.rpc details are kept
// as payloads of the absl::Status, under their type URLs.

// The server's stable UPPER_SNAKE reason ("QUEUE_FULL"); empty where it gave none.
std::string ErrorReason(const absl::Status& status);

// The fields of the request that broke a rule ("inputs[3].tensor.shape").
std::vector<std::string> ErrorFields(const absl::Status& status);

// When the server says that a retry may succeed.
std::optional<absl::Duration> RetryAfter(const absl::Status& status);

// No server answered: nothing listens at the target, the name does not resolve, or the connection broke. A
// server that answers UNAVAILABLE itself (its store is down, it is draining) is reachable.
bool IsUnreachable(const absl::Status& status);

// The same in the other direction, for the code that receives errors.
void AddErrorDetails(absl::string_view serialized_rpc_status, absl::Status* status);
void AddReason(absl::string_view reason, absl::Status* status);
void AddRetryAfter(absl::Duration delay, absl::Status* status);
void MarkUnreachable(absl::Status* status);

}  // namespace calserve::client

#endif  // CALSERVE_CLIENT_ERRORS_H_
