#ifndef CALSERVE_SERVER_RPC_TENSORS_IN_PLACE_H_
#define CALSERVE_SERVER_RPC_TENSORS_IN_PLACE_H_

#include <google/protobuf/message.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <cstddef>
#include <map>
#include <vector>

#include "server/base/byte_budget.h"
#include "server/base/byte_pieces.h"

namespace calserve {

// What the slices that are kept may take together, estimated from above; beyond it messages are copied, as
// small ones are. gRPC's quota counts what it has received until it is let go, and has room for these
// (GrpcServer).
ByteBudget& BytesInPlace();

// The large tensors of one message, in the slices in which gRPC received them: Protobuf would copy them into
// strings. The views are good as long as this, also once it is moved.
class TensorsInPlace {
 public:
  // Tensors of so many bytes and more, of messages whose slices have as many on average as a piece may have.
  static constexpr size_t kLarge = 64 << 10, kSmallestPiece = 2 << 10;

  TensorsInPlace() = default;
  TensorsInPlace(TensorsInPlace&&) = default;
  TensorsInPlace& operator=(TensorsInPlace&&) = default;

  // Parses `bytes` into `message`, except for its large tensors, which are empty there and are had from At;
  // then `bytes` are let go. False, and `bytes` are as they were, to be parsed as a whole: where such tensors
  // are not most of the message, or are no floats over KServe v2, where there is no room (BytesInPlace),
  // where a field on the way to a tensor comes twice, of which Protobuf has its own idea, or where the
  // message cannot be read. Once at most.
  bool Parse(grpc::ByteBuffer& bytes, google::protobuf::Message& message);

  // Of PredictRequest.inputs, also within StreamPredictRequest, or of ModelInferRequest.raw_input_contents
  // the index-th. Empty: what it has is in the message.
  BytePiecesView At(int index) const;

 private:
  ByteBudget::Share share_;
  std::vector<grpc::Slice> slices_;
  std::map<int, BytePieces> tensors_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_TENSORS_IN_PLACE_H_
