#ifndef CALSERVE_SERVER_BASE_BYTE_PIECES_H_
#define CALSERVE_SERVER_BASE_BYTE_PIECES_H_

#include <cstddef>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace calserve {

// Bytes that lie in one piece, or in many as gRPC receives a large message: views of them, in their order.
using BytePieces = absl::InlinedVector<absl::string_view, 1>;
using BytePiecesView = absl::Span<const absl::string_view>;

// Of a machine that is little-endian, as tensors come off the wire.
inline absl::string_view BytesOf(absl::Span<const float> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

size_t SizeOf(BytePiecesView pieces);
// Writes all of them to `to` and returns where they end there.
char* CopyPieces(BytePiecesView pieces, char* to);
std::string JoinPieces(BytePiecesView pieces);

// Takes pieces apart, from the front.
class PieceCutter {
 public:
  // `pieces` must stay as long as this, and the bytes as long as what was cut.
  explicit PieceCutter(BytePiecesView pieces) : rest_(pieces) {}

  // The next `size` bytes; there must be as many.
  BytePieces Next(size_t size);

 private:
  BytePiecesView rest_;
  size_t used_ = 0;  // of the first
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_BYTE_PIECES_H_
