// Stands in for errors.cc, which needs Protobuf: no RetryInfo.
#include "client/errors.h"

namespace calserve::client {

std::optional<absl::Duration> RetryAfter(const absl::Status&) { return std::nullopt; }

}  // namespace calserve::client
