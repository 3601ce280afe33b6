#ifndef CALSERVE_SERVER_PREDICTION_TENSOR_CHECK_H_
#define CALSERVE_SERVER_PREDICTION_TENSOR_CHECK_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/prediction/predictor.h"

namespace calserve {

// The values of a tensor of `shape`, where they lie: good as long as tensor.data is. `size` is
// product(shape). INVALID_ARGUMENT, with what was expected and what was given, for another type, rank, shape
// or byte count, or a value that is not finite; INTERNAL for data that is not aligned as TensorInput says.
absl::StatusOr<absl::Span<const float>> CheckTensor(const TensorInput& tensor,
                                                    const std::vector<int64_t>& shape, int64_t size);

}  // namespace calserve

#endif  // CALSERVE_SERVER_PREDICTION_TENSOR_CHECK_H_
