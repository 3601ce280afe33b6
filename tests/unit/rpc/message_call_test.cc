#include "server/rpc/arena_messages.h"

#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <utility>

#include "calserve/v1/prediction.grpc.pb.h"
#include "tests/unit/rpc/loopback_server.h"

namespace calserve {
namespace {

using Messages = ArenaMessages<v1::PredictRequest, v1::PredictResponse>;

TEST(ArenaMessagesTest, OrdinaryCallFitsInTheFirstPieceOfMemory) {
  Messages messages;
  auto* const call = messages.AllocateMessages();
  google::protobuf::Arena* const arena = call->request()->GetArena();
  ASSERT_NE(arena, nullptr);
  EXPECT_EQ(call->response()->GetArena(), arena);
  const auto before = arena->SpaceAllocated();

  call->request()->set_model("fashion_mnist");
  v1::Tensor& tensor = *call->request()->add_inputs()->mutable_tensor();
  for (const int dimension : {1, 28, 28}) tensor.add_shape(dimension);
  tensor.set_data(std::string(3136, 'x'));
  v1::Prediction& prediction = *call->response()->add_predictions();
  prediction.set_ticket(std::string(200, 't'));
  for (int i = 0; i < 5; ++i) prediction.add_top_classes()->set_label("Ankle boot");

  EXPECT_EQ(arena->SpaceAllocated(), before);
  call->Release();
}

TEST(ArenaMessagesTest, LargeCallFindsMoreMemory) {
  Messages messages;
  auto* const call = messages.AllocateMessages();
  const auto before = call->request()->GetArena()->SpaceAllocated();
  for (int i = 0; i < 1000; ++i) call->request()->add_inputs()->mutable_tensor()->set_data("row");
  EXPECT_EQ(call->request()->inputs(999).tensor().data(), "row");
  EXPECT_GT(call->request()->GetArena()->SpaceAllocated(), before);
  call->Release();
}

// As where an instance's thread answers.
TEST(ArenaMessagesTest, AnotherThreadMayAnswer) {
  Messages messages;
  auto* const call = messages.AllocateMessages();
  call->request()->set_model("fashion_mnist");
  std::jthread([call] {
    call->response()->set_model(call->request()->model());
    call->response()->add_predictions()->add_top_classes()->set_label("Ankle boot");
  }).join();
  EXPECT_EQ(call->response()->model(), "fashion_mnist");
  EXPECT_EQ(call->response()->predictions(0).top_classes(0).label(), "Ankle boot");
  call->Release();
}

// A client may keep a call open while others come and go.
TEST(ArenaMessagesTest, CallsShareNothing) {
  Messages messages;
  auto* const first = messages.AllocateMessages();
  auto* const second = messages.AllocateMessages();
  first->request()->set_model("first");
  second->request()->set_model("second");
  second->Release();
  EXPECT_EQ(first->request()->model(), "first");
  first->Release();
}

class OnArena final : public v1::PredictionService::CallbackService {
 public:
  OnArena() { SetMessageAllocatorFor_Predict(&messages_); }

  grpc::ServerUnaryReactor* Predict(grpc::CallbackServerContext* context, const v1::PredictRequest* request,
                                    v1::PredictResponse* response) override {
    on_arena_ = request->GetArena() != nullptr && request->GetArena() == response->GetArena();
    response->set_model(request->model());
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  bool on_arena() const { return on_arena_; }

 private:
  Messages messages_;
  std::atomic<bool> on_arena_ = false;
};

TEST(ArenaMessagesTest, HandlerIsGivenThem) {
  OnArena service;
  const LoopbackServer server(service);
  const auto stub = v1::PredictionService::NewStub(server.NewChannel());
  grpc::ClientContext context;
  v1::PredictRequest request;
  request.set_model("fashion_mnist");
  v1::PredictResponse response;
  ASSERT_TRUE(stub->Predict(&context, request, &response).ok());
  EXPECT_EQ(response.model(), "fashion_mnist");
  EXPECT_TRUE(service.on_arena());
}

// No handler runs then; what was allocated is freed (AddressSanitizer sees to it).
TEST(ArenaMessagesTest, BytesThatAreNoRequestAreAnError) {
  OnArena service;
  const LoopbackServer server(service);
  grpc::GenericStub stub(server.NewChannel());
  grpc::ClientContext context;
  const grpc::Slice bytes("\xff\xff");
  const grpc::ByteBuffer request(&bytes, 1);
  grpc::ByteBuffer response;
  std::promise<grpc::Status> status;
  stub.UnaryCall(&context, "/calserve.v1.PredictionService/Predict", grpc::StubOptions(), &request, &response,
                 [&](grpc::Status answer) { status.set_value(std::move(answer)); });
  EXPECT_FALSE(status.get_future().get().ok());
}

}  // namespace
}  // namespace calserve
