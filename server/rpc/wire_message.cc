#include "server/rpc/wire_message.h"

#include <grpcpp/support/slice.h>

#include <cstdint>
#include <limits>
#include <memory>

#include "absl/status/statusor.h"
#include "server/base/status_macros.h"
#include "server/base/unsent_bytes.h"

namespace calserve {
namespace {

// Counted from TakeUnsentBytes on, for as long as gRPC holds a slice of them.
struct CountedBytes {
  ~CountedBytes() { GiveUnsentBytes(size); }

  std::unique_ptr<uint8_t[]> bytes;
  int64_t size;
};

absl::StatusOr<grpc::Slice> SliceOf(size_t size) {
  if (size < kCountedBytes) return grpc::Slice(size);
  RETURN_IF_ERROR(TakeUnsentBytes(static_cast<int64_t>(size)));
  auto* const counted =
      new CountedBytes{std::make_unique_for_overwrite<uint8_t[]>(size), static_cast<int64_t>(size)};
  const auto free = [](void* bytes) { delete static_cast<CountedBytes*>(bytes); };
  return grpc::Slice(counted->bytes.get(), size, free, counted);
}

}  // namespace

absl::Status SerializeMessage(const google::protobuf::MessageLite& message, grpc::ByteBuffer& bytes) {
  const size_t size = message.ByteSizeLong();
  if (size > std::numeric_limits<int>::max()) return absl::InternalError("the answer is too large");
  ASSIGN_OR_RETURN(const grpc::Slice slice, SliceOf(size));
  message.SerializeWithCachedSizesToArray(const_cast<uint8_t*>(slice.begin()));
  grpc::ByteBuffer(&slice, 1).Swap(&bytes);
  return absl::OkStatus();
}

}  // namespace calserve
