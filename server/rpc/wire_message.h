#ifndef CALSERVE_SERVER_RPC_WIRE_MESSAGE_H_
#define CALSERVE_SERVER_RPC_WIRE_MESSAGE_H_

#include <google/protobuf/message.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"

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

// INVALID_ARGUMENT with the reason MESSAGE_UNREADABLE. The bytes are let go: gRPC, whose they are, hands them
// to a unary handler as const, and has no more use for them.
template <typename Message>
absl::Status ParseMessage(const grpc::ByteBuffer& bytes, Message& message) {
  auto& own = const_cast<grpc::ByteBuffer&>(bytes);
  if (grpc::SerializationTraits<Message>::Deserialize(&own, &message).ok()) return absl::OkStatus();
  return WithReason(absl::InvalidArgumentError(
                        absl::StrCat("the message cannot be read as ", Message::descriptor()->full_name(),
                                     ": it is cut off, is another message, or has text that is not UTF-8")),
                    "MESSAGE_UNREADABLE");
}

// INTERNAL for one that is too large for Protobuf; RESOURCE_EXHAUSTED for one of kCountedBytes and more where
// clients have left too much unread (base/unsent_bytes.h), which `bytes` is part of until it is sent or
// dropped.
inline constexpr size_t kCountedBytes = 4 << 10;
absl::Status SerializeMessage(const google::protobuf::MessageLite& message, grpc::ByteBuffer& bytes);

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_WIRE_MESSAGE_H_
