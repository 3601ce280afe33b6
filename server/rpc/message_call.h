#ifndef CALSERVE_SERVER_RPC_MESSAGE_CALL_H_
#define CALSERVE_SERVER_RPC_MESSAGE_CALL_H_

#include <google/protobuf/arena.h>

#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "server/rpc/unary_call.h"
#include "server/rpc/wire_message.h"

namespace calserve {

// A unary call of a raw method, with its request and its answer on one arena: the messages within them are
// not allocated and freed one by one.
//
// Nothing of the arena is given back before the call ends: repeated numbers that are parsed in pieces may
// hold twice their size until then. Strings and bytes hold theirs alone.
template <typename Request, typename Response>
class MessageCall final : public UnaryCall {
 public:
  // `answer`: what gRPC sends once the call is finished.
  MessageCall(CallTracker& calls, Admission admission, grpc::ByteBuffer* answer)
      : UnaryCall(calls, std::move(admission)),
        arena_(first_, sizeof first_),
        request_(*google::protobuf::Arena::CreateMessage<Request>(&arena_)),
        response_(*google::protobuf::Arena::CreateMessage<Response>(&arena_)),
        answer_(*answer) {}

  // Parses the request. False: the call is answered already, because it may not be made, the server drains or
  // the request cannot be read; leave it alone.
  bool Read(const grpc::ByteBuffer* bytes) {
    if (!accepted()) return false;
    const absl::Status read = ParseMessage(*bytes, request_, held_, tensors_);
    if (!read.ok()) Refuse(read);
    return read.ok();
  }

  // Without its large tensors.
  const Request& request() const { return request_; }
  const TensorsInPlace& tensors() const { return tensors_; }
  Response& response() { return response_; }
  google::protobuf::Arena& arena() { return arena_; }

  // Answers the call, exactly once: with the response, or with an error.
  void Reply(const absl::Status& status, WhenFull when_full = WhenFull::kAnswer) {
    tensors_ = TensorsInPlace();  // Not kept for a client that does not read its answer.
    UnaryCall::Reply(status.ok() ? SerializeMessage(response_, answer_, when_full) : status);
  }

 private:
  // Enough for a request of one input, and for its answer where the thread that received the call writes it:
  // another thread has blocks of its own.
  static constexpr size_t kFirstBytes = 2048;

  ByteBudget::Share held_;  // of the request, until the call ends
  TensorsInPlace tensors_;
  alignas(std::max_align_t) char first_[kFirstBytes];
  google::protobuf::Arena arena_;
  Request& request_;
  Response& response_;
  grpc::ByteBuffer& answer_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_MESSAGE_CALL_H_
