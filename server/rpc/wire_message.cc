#include "server/rpc/wire_message.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/slice.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
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
constexpr int kDeepest = 100;  // Protobuf's own limit
// What a field takes beside its bytes: a message in a list (250 were seen), a string or an unknown one.
constexpr int64_t kMessageBytes = 256, kFieldBytes = 64;

absl::Status NoneLeft(absl::string_view what, int64_t more, const ByteBudget& budget,
                      absl::string_view option, absl::string_view why, absl::string_view reason) {
  const std::string takes = absl::StrCat(what, " takes ", more, " bytes, and ");
  if (more > budget.limit()) {
    return WithRetryAfter(WithReason(absl::ResourceExhaustedError(absl::StrCat(
                                         takes, budget.limit(), " are all there may be (", option, ")")),
                                     reason),
                          absl::InfiniteDuration());
  }
  return WithRetryAfter(WithReason(absl::ResourceExhaustedError(absl::StrCat(
                                       takes, "others ", why, " take ", budget.taken(), " of at most ",
                                       budget.limit(), " (", option, "); retry with backoff")),
                                   reason),
                        kRetryAfter);
}

// What `length` bytes of packed numbers take beside those. Varints may be of one byte each, and a list that
// grows as it is read may have room for twice as many.
int64_t BytesOfPacked(const FieldDescriptor& field, int64_t length) {
  switch (field.type()) {
    case FieldDescriptor::TYPE_INT64:
    case FieldDescriptor::TYPE_UINT64:
    case FieldDescriptor::TYPE_SINT64:
      return 2 * length * static_cast<int64_t>(sizeof(int64_t));
    case FieldDescriptor::TYPE_INT32:
    case FieldDescriptor::TYPE_UINT32:
    case FieldDescriptor::TYPE_SINT32:
    case FieldDescriptor::TYPE_ENUM:
      return 2 * length * static_cast<int64_t>(sizeof(int32_t));
    default:
      return length;
  }
}

// Walks the fields of a message and of the messages in it, and adds up what they take.
class FieldWalk {
 public:
  explicit FieldWalk(CodedInputStream& in) : in_(in) {}

  // Of `type`; null: of a group, whose fields are unknown, up to the tag `end`. False where there are too
  // many fields, or where the rest cannot be read, which parsing finds, too.
  bool Walk(const Descriptor* type, int depth, uint32_t end = 0) {
    while (true) {
      const uint32_t tag = in_.ReadTag();
      if (tag == end) return true;
      if (tag == 0 || ++fields_ > kMostFields) return false;
      bytes_ += kFieldBytes;
      const FieldDescriptor* const field =
          type == nullptr ? nullptr : type->FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag));
      if (!Field(field, tag, depth)) return false;
    }
  }
  bool too_many() const { return fields_ > kMostFields; }
  int64_t bytes() const { return bytes_; }

 private:
  bool Field(const FieldDescriptor* field, uint32_t tag, int depth) {
    switch (WireFormatLite::GetTagWireType(tag)) {
      case WireFormatLite::WIRETYPE_START_GROUP:
        return depth < kDeepest && Walk(nullptr, depth + 1,
                                        WireFormatLite::MakeTag(WireFormatLite::GetTagFieldNumber(tag),
                                                                WireFormatLite::WIRETYPE_END_GROUP));
      case WireFormatLite::WIRETYPE_END_GROUP:
        return false;
      case WireFormatLite::WIRETYPE_LENGTH_DELIMITED: {
        uint32_t length;
        if (!in_.ReadVarint32(&length)) return false;
        if (field != nullptr && field->type() == FieldDescriptor::TYPE_MESSAGE) {
          return Enter(*field->message_type(), length, depth);
        }
        if (field != nullptr && field->is_packable()) bytes_ += BytesOfPacked(*field, length);
        return in_.Skip(static_cast<int>(length));
      }
      default:
        return WireFormatLite::SkipField(&in_, tag);
    }
  }
  bool Enter(const Descriptor& type, uint32_t length, int depth) {
    if (depth == kDeepest) return false;
    bytes_ += kMessageBytes;
    const CodedInputStream::Limit limit = in_.PushLimit(static_cast<int>(length));
    if (!Walk(&type, depth + 1)) return false;
    in_.PopLimit(limit);
    return true;
  }

  CodedInputStream& in_;
  int64_t fields_ = 0, bytes_ = 0;
};

absl::StatusOr<int64_t> BytesOfFields(const grpc::ByteBuffer& bytes, const Descriptor& type) {
  auto& own = const_cast<grpc::ByteBuffer&>(bytes);  // The reader takes no const one, and leaves it alone.
  grpc::ProtoBufferReader reader(&own);
  CodedInputStream in(&reader);
  FieldWalk walk(in);
  walk.Walk(&type, 0);
  if (!walk.too_many()) return walk.bytes();
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

absl::StatusOr<grpc::Slice> SliceOf(size_t size, WhenFull when_full) {
  if (size < kCountedBytes) return grpc::Slice(size);
  auto counted = std::make_unique<CountedBytes>();
  const auto more = static_cast<int64_t>(size);
  if (when_full == WhenFull::kAnswer) {
    counted->share.TakeAnyway(UnsentBytes(), more);
  } else if (!counted->share.Take(UnsentBytes(), more)) {
    return NoneLeft("the answer", more, UnsentBytes(), "grpc.max_unsent_bytes", "that clients have not read",
                    "ANSWERS_UNSENT");
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
  ASSIGN_OR_RETURN(const int64_t of_fields, BytesOfFields(bytes, type));
  const int64_t more = static_cast<int64_t>(size) + of_fields;
  if (held.Take(ReceivedBytes(), more)) return absl::OkStatus();
  return NoneLeft("the message", more, ReceivedBytes(), "grpc.max_received_bytes",
                  "whose calls are not answered", "MESSAGES_HELD");
}

absl::Status SerializeMessage(const google::protobuf::MessageLite& message, grpc::ByteBuffer& bytes,
                              WhenFull when_full) {
  const size_t size = message.ByteSizeLong();
  if (size > std::numeric_limits<int>::max()) return absl::InternalError("the answer is too large");
  ASSIGN_OR_RETURN(grpc::Slice slice, SliceOf(size, when_full));
  message.SerializeWithCachedSizesToArray(const_cast<uint8_t*>(slice.begin()));
  grpc::ByteBuffer(&slice, 1).Swap(&bytes);
  return absl::OkStatus();
}

}  // namespace calserve
