#include "client/types.h"

#include <bit>

namespace calserve::client {

static_assert(std::endian::native == std::endian::little, "tensors travel little-endian");

Tensor Tensor::Float32(std::vector<int64_t> shape, absl::Span<const float> values) {
  return {DataType::kFloat32, std::move(shape),
          std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float))};
}

Tensor Tensor::Uint8(std::vector<int64_t> shape, absl::Span<const uint8_t> values) {
  return {DataType::kUint8, std::move(shape),
          std::string(reinterpret_cast<const char*>(values.data()), values.size())};
}

absl::StatusOr<CalibratorSpec> CalibratorInfo::Spec(int classes) const {
  const absl::StatusOr<CalibrationMethod> parsed = ParseMethod(method);
  if (!parsed.ok()) return parsed.status();
  return CalibratorSpec{*parsed, classes, parameters, set_thresholds};
}

}  // namespace calserve::client
