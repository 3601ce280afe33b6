#ifndef CALSERVE_SERVER_PREDICTION_TENSOR_CHECK_H_
#define CALSERVE_SERVER_PREDICTION_TENSOR_CHECK_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "server/prediction/predictor.h"

namespace calserve {

// Copies a tensor of `shape` to `out`, which holds product(shape) floats. INVALID_ARGUMENT, with what was
// expected and what was given, for another type, rank, shape or byte count, or a value that is not finite.
absl::Status CopyTensor(const TensorInput& tensor, const std::vector<int64_t>& shape, absl::Span<float> out);

}  // namespace calserve

#endif  // CALSERVE_SERVER_PREDICTION_TENSOR_CHECK_H_
