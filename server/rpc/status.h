#ifndef CALSERVE_SERVER_RPC_STATUS_H_
#define CALSERVE_SERVER_RPC_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "calserve/v1/prediction.pb.h"

namespace calserve {

// The one status translation of the server: the canonical code, the sentence, and google.rpc details
// (ErrorInfo always; BadRequest where a field is known; RetryInfo for RESOURCE_EXHAUSTED and UNAVAILABLE).
grpc::Status ToGrpcStatus(const absl::Status& status);

// The same for one request of a stream.
v1::Failure ToFailure(const absl::Status& status);

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_STATUS_H_
