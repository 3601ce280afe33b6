#include "server/rpc/wire_message.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/slice.h>

#include <cstdint>
#include <limits>
#include <memory>

#include "absl/status/statusor.h"
#include "server/base/status_macros.h"

namespace calserve {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// By then calls that can be answered are.
constexpr absl::Duration kRetryAfter = absl::Seconds(1);

constexpr int64_t kMostFields = 1'000'000;
constexpr size_t kFewBytes = 64 << 10;  // which cannot have so many that it matters
constexpr int kDeepest = 100;           // Protobuf's own limit

absl::Status NoneLeft(absl::string_view what, int64_t more, const ByteBudget& budget,
                      absl::string_view option, absl::string_view reason) {
  return WithRetryAfter(
      WithReason(absl::ResourceExhaustedError(absl::StrCat(what, " takes ", more, " bytes, and others take ",
                                                           budget.taken(), " of at most ", budget.limit(),
                                                           " (", option, "); retry with backoff")),
                 reason),
      kRetryAfter);
}

// Counts the fields of a message of `type`, which may be null, and of the messages in it, down to zero left.
// False where there are more, or where the rest cannot be read, which parsing finds, too.
class FieldCount {
 public:
  explicit FieldCount(CodedInputStream& in) : in_(in) {}

  bool Walk(const Descriptor& type, int depth) {
    for (uint32_t tag = in_.ReadTag(); tag != 0; tag = in_.ReadTag()) {
      if (++fields_ > kMostFields) return false;
      const FieldDescriptor* const field = type.FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag));
      const bool nested = field != nullptr && field->type() == FieldDescriptor::TYPE_MESSAGE &&
                          WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
      if (nested ? !Enter(*field->message_type(), depth) : !WireFormatLite::SkipField(&in_, tag))
        return false;
    }
    return true;
  }
  bool too_many() const { return fields_ > kMostFields; }

 private:
  bool Enter(const Descriptor& type, int depth) {
    uint32_t length;
    if (depth == kDeepest || !in_.ReadVarint32(&length)) return false;
    const CodedInputStream::Limit limit = in_.PushLimit(static_cast<int>(length));
    if (!Walk(type, depth + 1)) return false;
    in_.PopLimit(limit);
    return true;
  }

  CodedInputStream& in_;
  int64_t fields_ = 0;
};

absl::Status CheckFields(const grpc::ByteBuffer& bytes, const Descriptor& type) {
  auto& own = const_cast<grpc::ByteBuffer&>(bytes);  // The reader takes no const one, and leaves it alone.
  grpc::ProtoBufferReader reader(&own);
  CodedInputStream in(&reader);
  FieldCount count(in);
  count.Walk(type, 0);
  if (!count.too_many()) return absl::OkStatus();
  return WithReason(
      absl::InvalidArgumentError(absl::StrCat("the message has more than ", kMostFields,
                                              " fields, counted at all levels: send it in several")),
      "MESSAGE_TOO_COMPLEX");
}

// Part of UnsentBytes for as long as gRPC holds a slice of it.
struct CountedBytes {
  ByteBudget::Share share;
  std::unique_ptr<uint8_t[]> bytes;
};

absl::StatusOr<grpc::Slice> SliceOf(size_t size) {
  if (size < kCountedBytes) return grpc::Slice(size);
  auto counted = std::make_unique<CountedBytes>();
  if (!counted->share.Take(UnsentBytes(), static_cast<int64_t>(size))) {
    return NoneLeft("the answer", static_cast<int64_t>(size), UnsentBytes(),
                    "grpc.max_unsent_bytes: clients have not read them", "ANSWERS_UNSENT");
  }
  counted->bytes = std::make_unique_for_overwrite<uint8_t[]>(size);
  const auto free = [](void* bytes) { delete static_cast<CountedBytes*>(bytes); };
  uint8_t* const first = counted->bytes.get();
  return grpc::Slice(first, size, free, counted.release());
}

}  // namespace

absl::Status Hold(const grpc::ByteBuffer& bytes, const Descriptor& type, ByteBudget::Share& held) {
  const size_t size = bytes.Length();
  if (size < kCountedBytes) return absl::OkStatus();
  if (!held.Take(ReceivedBytes(), static_cast<int64_t>(size))) {
    return NoneLeft("the message", static_cast<int64_t>(size), ReceivedBytes(),
                    "grpc.max_received_bytes: their calls are not answered yet", "MESSAGES_HELD");
  }
  return size < kFewBytes ? absl::OkStatus() : CheckFields(bytes, type);
}

absl::Status SerializeMessage(const google::protobuf::MessageLite& message, grpc::ByteBuffer& bytes) {
  const size_t size = message.ByteSizeLong();
  if (size > std::numeric_limits<int>::max()) return absl::InternalError("the answer is too large");
  ASSIGN_OR_RETURN(const grpc::Slice slice, SliceOf(size));
  message.SerializeWithCachedSizesToArray(const_cast<uint8_t*>(slice.begin()));
  grpc::ByteBuffer(&slice, 1).Swap(&bytes);
  return absl::OkStatus();
}

}  // namespace calserve
