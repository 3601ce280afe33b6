#ifndef CALSERVE_SERVER_RPC_WIRE_MESSAGE_H_
#define CALSERVE_SERVER_RPC_WIRE_MESSAGE_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/byte_budget.h"
#include "server/base/error_info.h"
#include "server/rpc/tensors_in_place.h"

// Messages as bytes. Every method takes them so, by gRPC's raw callback interface, and parses them once the
// caller may make the call. Its typed interface parses first, answers UNIMPLEMENTED
// without a word where that fails, and ends a stream as if the client had sent all of it.
namespace calserve {

// A generated service with these of its methods, each a template WithRawCallbackMethod_NAME of it or
// WithCallbackMethod_NAME.
template <typename Service, template <typename> class... Methods>
struct ServiceWith {
  using Type = Service;
};
template <typename Service, template <typename> class Method, template <typename> class... Others>
struct ServiceWith<Service, Method, Others...> {
  using Type = Method<typename ServiceWith<Service, Others...>::Type>;
};

using ByteStream = grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>;

// Messages and answers of so many bytes and more count (base/byte_budget.h).
inline constexpr size_t kCountedBytes = 4 << 10;

// Takes of ReceivedBytes what a message of `type` takes once it is parsed, by an estimate from above: its
// bytes, and what its fields take beside them. RESOURCE_EXHAUSTED with the reason MESSAGES_HELD where that is
// not left. INVALID_ARGUMENT with the reason MESSAGE_TOO_COMPLEX for more than a million fields in all: empty
// messages of two bytes each take a hundred times as much memory.
absl::Status Hold(const grpc::ByteBuffer& bytes, const google::protobuf::Descriptor& type,
                  ByteBudget::Share& held);

// The part of ParseMessage after Hold.
template <typename Message>
absl::Status ParseHeld(grpc::ByteBuffer& bytes, Message& message) {
  if (grpc::SerializationTraits<Message>::Deserialize(&bytes, &message).ok()) return absl::OkStatus();
  return WithReason(absl::InvalidArgumentError(
                        absl::StrCat("the message cannot be read as ", Message::descriptor()->full_name(),
                                     ": it is cut off, is another message, or has text that is not UTF-8")),
                    "MESSAGE_UNREADABLE");
}

// Parses what `held` counts from now on; errors as Hold has them, and INVALID_ARGUMENT with the reason
// MESSAGE_UNREADABLE. Bytes that are parsed are let go: gRPC, whose they are, hands them to a unary
// handler as const, and has no more use for them.
template <typename Message>
absl::Status ParseMessage(const grpc::ByteBuffer& bytes, Message& message, ByteBudget::Share& held) {
  if (absl::Status status = Hold(bytes, *Message::descriptor(), held); !status.ok()) return status;
  return ParseHeld(const_cast<grpc::ByteBuffer&>(bytes), message);
}

// The same, and large tensors are left where gRPC received them. `held` counts them, too.
template <typename Message>
absl::Status ParseMessage(const grpc::ByteBuffer& bytes, Message& message, ByteBudget::Share& held,
                          TensorsInPlace& tensors) {
  if (absl::Status status = Hold(bytes, *Message::descriptor(), held); !status.ok()) return status;
  auto& own = const_cast<grpc::ByteBuffer&>(bytes);
  return tensors.Parse(own, message) ? absl::OkStatus() : ParseHeld(own, message);
}

// Where too much of UnsentBytes is taken: whether an answer is refused, which can be had again, or is not,
// because it says what has taken effect.
enum class WhenFull { kRefuse, kAnswer };

// `bytes` hold their share of UnsentBytes for as long as gRPC holds them. RESOURCE_EXHAUSTED with the reason
// ANSWERS_UNSENT where there is none left; INTERNAL for one that is too large for Protobuf.
absl::Status SerializeMessage(const google::protobuf::MessageLite& message, grpc::ByteBuffer& bytes,
                              WhenFull when_full = WhenFull::kAnswer);

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_WIRE_MESSAGE_H_
