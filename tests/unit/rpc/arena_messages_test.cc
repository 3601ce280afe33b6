#include "server/rpc/arena_messages.h"

#include <gtest/gtest.h>

#include <string>

#include "calserve/v1/prediction.pb.h"

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
  for (int i = 0; i < 1000; ++i) call->request()->add_inputs()->mutable_tensor()->set_data("row");
  EXPECT_EQ(call->request()->inputs(999).tensor().data(), "row");
  EXPECT_GT(call->request()->GetArena()->SpaceAllocated(), 1000u);
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

}  // namespace
}  // namespace calserve
