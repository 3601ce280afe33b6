#ifndef CALSERVE_SERVER_PREDICTION_TENSOR_CHECK_H_
#define CALSERVE_SERVER_PREDICTION_TENSOR_CHECK_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "server/prediction/predictor.h"

namespace calserve {

// Whether a tensor is of `shape`, of which `size` is the product, and finite. INVALID_ARGUMENT, with what was
// expected and what was given, for another type, rank, shape or byte count, or a value that is not finite.
absl::Status CheckTensor(const TensorInput& tensor, const std::vector<int64_t>& shape, int64_t size);

}  // namespace calserve

#endif  // CALSERVE_SERVER_PREDICTION_TENSOR_CHECK_H_
