#include "server/prediction/tensor_check.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "calibration/wide_vectors.h"
#include "server/base/byte_pieces.h"
#include "server/base/error_info.h"

namespace calserve {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are used as they come off the wire");

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

// Whether each of the floats, which need not be aligned, is finite: those that are not have all bits of the
// exponent. In integers, so that the compiler may take many values at once; a sum of floats has an order to
// keep.
CALSERVE_WIDE_VECTORS bool AllFinite(const char* floats, size_t count) {
  constexpr uint32_t kExponent = 0x7F80'0000;
  uint32_t not_finite = 0;
  for (size_t i = 0; i < count; ++i) {
    uint32_t bits;
    std::memcpy(&bits, floats + i * sizeof(bits), sizeof(bits));
    not_finite |= (bits & kExponent) == kExponent ? 1 : 0;
  }
  return not_finite == 0;
}

bool AllFinite(BytePiecesView pieces) {
  char parted[sizeof(float)];  // a value that lies in more than one piece
  size_t have = 0;             // bytes of it
  for (absl::string_view piece : pieces) {
    if (have > 0) {
      const absl::string_view more = piece.substr(0, sizeof(float) - have);
      std::copy(more.begin(), more.end(), parted + have);
      piece.remove_prefix(more.size());
      have += more.size();
      if (have < sizeof(float)) continue;
      if (!AllFinite(parted, 1)) return false;
    }
    const size_t whole = piece.size() / sizeof(float);
    if (!AllFinite(piece.data(), whole)) return false;
    piece.remove_prefix(whole * sizeof(float));
    std::copy(piece.begin(), piece.end(), parted);
    have = piece.size();
  }
  return true;
}

absl::Status NotFinite(BytePiecesView pieces) {
  std::vector<float> values(SizeOf(pieces) / sizeof(float));
  CopyPieces(pieces, reinterpret_cast<char*>(values.data()));
  size_t i = 0;
  while (std::isfinite(values[i])) ++i;
  return WithField(absl::InvalidArgumentError(
                       absl::StrCat("every element must be finite; element ", i, " is ", values[i])),
                   "tensor.data");
}

}  // namespace

absl::Status CheckTensor(const TensorInput& tensor, const std::vector<int64_t>& shape, int64_t size) {
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
  if (const size_t got = SizeOf(tensor.data); got != bytes) {
    return WithField(absl::InvalidArgumentError(absl::StrCat("shape ", ShapeText(shape), " of FLOAT32 takes ",
                                                             bytes, " bytes; data has ", got)),
                     "tensor.data");
  }
  return AllFinite(tensor.data) ? absl::OkStatus() : NotFinite(tensor.data);
}

}  // namespace calserve
