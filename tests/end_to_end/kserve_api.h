#ifndef CALSERVE_TESTS_END_TO_END_KSERVE_API_H_
#define CALSERVE_TESTS_END_TO_END_KSERVE_API_H_

#include <memory>
#include <string>

#include "inference/grpc_service.pb.h"
#include "tests/end_to_end/api.h"

namespace calserve::e2e {

// What the C++ tests use of KServe v2: generated stubs over a channel of their own, behind a header without
// gRPC. A status has code and message. Thread-safe. Every call ends after a minute at the latest.
class KserveApi {
 public:
  explicit KserveApi(const std::string& address);
  ~KserveApi();

  Reply<inference::ModelInferResponse> Infer(const inference::ModelInferRequest& request) const;
  CallStatus Load(const std::string& model) const;
  CallStatus Unload(const std::string& model) const;

 private:
  struct Stub;
  const std::unique_ptr<Stub> stub_;
};

}  // namespace calserve::e2e

#endif  // CALSERVE_TESTS_END_TO_END_KSERVE_API_H_
