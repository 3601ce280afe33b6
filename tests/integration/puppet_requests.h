#ifndef CALSERVE_TESTS_INTEGRATION_PUPPET_REQUESTS_H_
#define CALSERVE_TESTS_INTEGRATION_PUPPET_REQUESTS_H_

#include "absl/types/span.h"
#include "inference/grpc_service.pb.h"

namespace calserve::integration {

// Over KServe v2, one row for the puppet model: its logits.
inline inference::ModelInferRequest PuppetInferRequest(absl::Span<const float> row) {
  inference::ModelInferRequest request;
  request.set_model_name("puppet");
  auto& input = *request.add_inputs();
  input.set_name("input");
  input.set_datatype("FP32");
  input.add_shape(1);
  input.add_shape(static_cast<int64_t>(row.size()));
  request.add_raw_input_contents(row.data(), row.size() * sizeof(float));
  return request;
}

}  // namespace calserve::integration

#endif  // CALSERVE_TESTS_INTEGRATION_PUPPET_REQUESTS_H_
