#include "server/base/byte_pieces.h"

#include <algorithm>

namespace calserve {

size_t SizeOf(BytePiecesView pieces) {
  size_t size = 0;
  for (const absl::string_view piece : pieces) size += piece.size();
  return size;
}

char* CopyPieces(BytePiecesView pieces, char* to) {
  for (const absl::string_view piece : pieces) to = std::copy(piece.begin(), piece.end(), to);
  return to;
}

std::string JoinPieces(BytePiecesView pieces) {
  std::string joined(SizeOf(pieces), '\0');
  CopyPieces(pieces, joined.data());
  return joined;
}

BytePieces PieceCutter::Next(size_t size) {
  BytePieces next;
  while (size > 0) {
    const absl::string_view piece = rest_.front().substr(used_, size);
    if (!piece.empty()) next.push_back(piece);
    size -= piece.size();
    used_ += piece.size();
    if (used_ == rest_.front().size()) {
      rest_.remove_prefix(1);
      used_ = 0;
    }
  }
  return next;
}

}  // namespace calserve
