#ifndef CALSERVE_SERVER_RPC_KSERVE_PARAMETERS_H_
#define CALSERVE_SERVER_RPC_KSERVE_PARAMETERS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "inference/grpc_service.pb.h"
#include "server/feedback/scored_label.h"

namespace calserve::kserve {

using Parameters = google::protobuf::Map<std::string, inference::InferParameter>;

// The parameters of a request that mean something here.
struct RequestParameters {
  int priority = 0;                                   // 1 is the most urgent; 0: the model's default
  absl::Duration timeout = absl::InfiniteDuration();  // from the request's arrival
  int64_t top_k = 0;                                  // 0: every class
  std::string version_label;                          // empty: none
  std::string routing_key;                            // empty: the request is routed for itself
  Attributes attributes;                              // of every row, by key: "attribute.KEY"
};

// INVALID_ARGUMENT for a known parameter of another type or out of range, and for an unknown one that starts
// with "triton_". All others mean nothing here and are let pass.
absl::StatusOr<RequestParameters> ReadParameters(const inference::ModelInferRequest& request);

// The value of a parameter that is a whole number of at least `least`, in either integer kind. A value that
// int64 does not hold is its largest.
absl::StatusOr<int64_t> WholeNumber(const std::string& name, const inference::InferParameter& parameter,
                                    int64_t least);

// UNIMPLEMENTED where a tensor's parameters say that its data is in shared memory.
absl::Status CheckNoSharedMemory(const std::string& tensor, const Parameters& parameters);

}  // namespace calserve::kserve

#endif  // CALSERVE_SERVER_RPC_KSERVE_PARAMETERS_H_
