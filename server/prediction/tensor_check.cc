#include "server/prediction/tensor_check.h"

#include <bit>
#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/error_info.h"

namespace calserve {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are used as they come off the wire");

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

// Whether every value is finite: those that are not have all bits of the exponent. In integers, so that the
// compiler may take many values at once; a sum of floats has an order to keep.
bool AllFinite(absl::Span<const float> values) {
  constexpr uint32_t kExponent = 0x7F80'0000;
  uint32_t not_finite = 0;
  for (const float value : values) {
    not_finite |= (std::bit_cast<uint32_t>(value) & kExponent) == kExponent ? 1 : 0;
  }
  return not_finite == 0;
}

absl::Status NotFinite(absl::Span<const float> values) {
  size_t i = 0;
  while (std::isfinite(values[i])) ++i;
  return WithField(absl::InvalidArgumentError(
                       absl::StrCat("every element must be finite; element ", i, " is ", values[i])),
                   "tensor.data");
}

}  // namespace

absl::StatusOr<absl::Span<const float>> CheckTensor(const TensorInput& tensor,
                                                    const std::vector<int64_t>& shape, int64_t size) {
  if (tensor.type != TensorInput::Type::kFloat32) {
    return WithField(absl::InvalidArgumentError(
                         absl::StrCat("data_type must be FLOAT32; was ",
                                      tensor.type == TensorInput::Type::kUint8 ? "UINT8" : "unknown")),
                     "tensor.data_type");
  }
  if (tensor.shape.size() != shape.size()) {
    return WithField(
        absl::InvalidArgumentError(absl::StrCat("rank must be ", shape.size(), ", shape ", ShapeText(shape),
                                                " without batch dimension; was ", ShapeText(tensor.shape))),
        "tensor.shape");
  }
  if (tensor.shape != shape) {
    return WithField(absl::InvalidArgumentError(
                         absl::StrCat("shape must be ", ShapeText(shape), "; was ", ShapeText(tensor.shape))),
                     "tensor.shape");
  }
  const size_t bytes = static_cast<size_t>(size) * sizeof(float);
  if (tensor.data.size() != bytes) {
    return WithField(absl::InvalidArgumentError(absl::StrCat("shape ", ShapeText(shape), " of FLOAT32 takes ",
                                                             bytes, " bytes; data has ", tensor.data.size())),
                     "tensor.data");
  }
  if (reinterpret_cast<uintptr_t>(tensor.data.data()) % alignof(float) != 0)
    return absl::InternalError("the tensor's data is not aligned as TensorInput demands");
  const absl::Span<const float> values(reinterpret_cast<const float*>(tensor.data.data()),
                                       static_cast<size_t>(size));
  if (!AllFinite(values)) return NotFinite(values);
  return values;
}

}  // namespace calserve
