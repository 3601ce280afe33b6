#include "server/rpc/bounded_inflation.h"

#include <grpc/impl/codegen/compression_types.h>
#include <grpc/slice.h>
#include <grpc/slice_buffer.h>
#include <zlib.h>

#include <algorithm>
#include <atomic>
#include <limits>

namespace calserve {
namespace {

constexpr size_t kPiece = size_t{64} << 10;  // bytes of a slice of the output
constexpr size_t kUnlimited = std::numeric_limits<size_t>::max();

std::atomic<size_t> most_inflated{kUnlimited};  // bytes of a message: one beyond the limit

// Takes the slices of `input` one by one, but for empty ones: an empty DATA frame is no more than that, and
// inflate() takes a call without input for an error.
class SlicesToInflate {
 public:
  explicit SlicesToInflate(const grpc_slice_buffer& input) : input_(input) {}

  // False where all are taken.
  bool Next(z_stream& stream) {
    while (next_ < input_.count) {
      const grpc_slice& slice = input_.slices[next_++];
      if (GRPC_SLICE_LENGTH(slice) == 0) continue;
      stream.next_in = const_cast<Bytef*>(GRPC_SLICE_START_PTR(slice));
      stream.avail_in = static_cast<uInt>(GRPC_SLICE_LENGTH(slice));
      return true;
    }
    return false;
  }

 private:
  const grpc_slice_buffer& input_;
  size_t next_ = 0;
};

// Appends to `output` until the data end or `most` bytes are there. False for data that are not whole.
bool Inflate(z_stream& stream, const grpc_slice_buffer& input, size_t most, grpc_slice_buffer* output) {
  SlicesToInflate rest(input);
  size_t left = most;
  while (left > 0) {
    grpc_slice piece = grpc_slice_malloc(std::min(kPiece, left));
    const size_t size = GRPC_SLICE_LENGTH(piece);
    stream.next_out = GRPC_SLICE_START_PTR(piece);
    stream.avail_out = static_cast<uInt>(size);
    int state = Z_OK;
    while (state == Z_OK && stream.avail_out > 0) {
      if (stream.avail_in == 0 && !rest.Next(stream)) break;
      state = inflate(&stream, Z_NO_FLUSH);
    }
    left -= size - stream.avail_out;
    GRPC_SLICE_SET_LENGTH(piece, size - stream.avail_out);
    const bool filled = stream.avail_out == 0;
    grpc_slice_buffer_add(output, piece);
    if (state == Z_STREAM_END) return stream.avail_in == 0 && !rest.Next(stream);
    if (!filled) return false;  // No more input, or an error.
  }
  return true;
}

// A whole message; false leaves `output` as it was.
bool InflateMessage(bool gzip, const grpc_slice_buffer& input, size_t most, grpc_slice_buffer* output) {
  z_stream stream = {};
  if (inflateInit2(&stream, MAX_WBITS | (gzip ? 16 : 0)) != Z_OK) return false;
  grpc_slice_buffer inflated;
  grpc_slice_buffer_init(&inflated);
  const bool whole = Inflate(stream, input, most, &inflated);
  inflateEnd(&stream);
  if (whole) grpc_slice_buffer_move_into(&inflated, output);
  grpc_slice_buffer_destroy(&inflated);
  return whole;
}

}  // namespace

void LimitInflation(size_t bytes) {
  most_inflated.store(bytes == kUnlimited ? kUnlimited : bytes + 1, std::memory_order_relaxed);
}

}  // namespace calserve

// What gRPC calls in place of its own grpc_msg_decompress (ld's --wrap). 1: `output` has the message. An
// exception to style, as the names are the linker's.
extern "C" int __real__Z19grpc_msg_decompress26grpc_compression_algorithmP17grpc_slice_bufferS1_(
    grpc_compression_algorithm algorithm, grpc_slice_buffer* input, grpc_slice_buffer* output);

extern "C" int __wrap__Z19grpc_msg_decompress26grpc_compression_algorithmP17grpc_slice_bufferS1_(
    grpc_compression_algorithm algorithm, grpc_slice_buffer* input, grpc_slice_buffer* output) {
  if (algorithm != GRPC_COMPRESS_GZIP && algorithm != GRPC_COMPRESS_DEFLATE) {
    return __real__Z19grpc_msg_decompress26grpc_compression_algorithmP17grpc_slice_bufferS1_(algorithm, input,
                                                                                             output);
  }
  const size_t most = calserve::most_inflated.load(std::memory_order_relaxed);
  return calserve::InflateMessage(algorithm == GRPC_COMPRESS_GZIP, *input, most, output) ? 1 : 0;
}
