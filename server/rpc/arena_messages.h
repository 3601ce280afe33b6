#ifndef CALSERVE_SERVER_RPC_ARENA_MESSAGES_H_
#define CALSERVE_SERVER_RPC_ARENA_MESSAGES_H_

#include <google/protobuf/arena.h>
#include <grpcpp/support/message_allocator.h>

#include <cstddef>

namespace calserve {

// Gives the request and the answer of each unary call of a method one arena: the messages within them are
// not allocated and freed one by one. What gRPC's SetMessageAllocatorFor_METHOD takes. Thread-safe.
//
// Nothing is given back before the call ends: repeated numbers that are parsed in pieces may hold twice their
// size until then. Strings and bytes hold theirs alone.
template <typename Request, typename Response>
class ArenaMessages final : public grpc::MessageAllocator<Request, Response> {
 public:
  grpc::MessageHolder<Request, Response>* AllocateMessages() override { return new Call; }

 private:
  // Enough for a request of one input, and for its answer where the thread that received the call writes it:
  // another thread has blocks of its own.
  static constexpr size_t kFirstBytes = 2048;

  class Call final : public grpc::MessageHolder<Request, Response> {
   public:
    Call() : arena_(first_, sizeof first_) {
      this->set_request(google::protobuf::Arena::CreateMessage<Request>(&arena_));
      this->set_response(google::protobuf::Arena::CreateMessage<Response>(&arena_));
    }
    void Release() override { delete this; }

   private:
    ~Call() override = default;

    alignas(std::max_align_t) char first_[kFirstBytes];
    google::protobuf::Arena arena_;
  };
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_ARENA_MESSAGES_H_
