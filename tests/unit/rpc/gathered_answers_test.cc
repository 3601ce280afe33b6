#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "calserve/v1/prediction.grpc.pb.h"
#include "server/base/gathered_writes.h"
#include "server/base/mutex.h"
#include "tests/unit/rpc/loopback_server.h"

namespace calserve {
namespace {

constexpr int kCalls = 8;
constexpr int kRounds = 100;

// Answers nothing until it is told to.
class WaitingService final : public v1::PredictionService::CallbackService {
 public:
  grpc::ServerUnaryReactor* Predict(grpc::CallbackServerContext* context, const v1::PredictRequest* request,
                                    v1::PredictResponse* response) override {
    response->set_model(request->model());
    MutexLock lock(&mu_);
    waiting_.push_back(context->DefaultReactor());
    came_.SignalAll();
    return waiting_.back();
  }
  // What waits, once all have come.
  std::vector<grpc::ServerUnaryReactor*> Await() {
    MutexLock lock(&mu_);
    while (waiting_.size() < kCalls) came_.Wait(&mu_);
    return std::exchange(waiting_, {});
  }

 private:
  Mutex mu_;
  CondVar came_;
  std::vector<grpc::ServerUnaryReactor*> waiting_ ABSL_GUARDED_BY(mu_);
};

TEST(GatheredAnswersTest, HoldBackWhatGrpcWritesAndEveryCallIsAnswered) {
  WaitingService service;
  const LoopbackServer server(service);
  const auto stub = v1::PredictionService::NewStub(server.NewChannel());

  // In a round in which another thread holds the connection that one writes, and none is held back.
  int held_back = 0;
  for (int round = 0; round < kRounds && held_back == 0; ++round) {
    std::vector<v1::PredictResponse> responses(kCalls);
    std::vector<std::jthread> callers;
    for (int i = 0; i < kCalls; ++i) {
      callers.emplace_back([&, i] {
        grpc::ClientContext context;
        v1::PredictRequest request;
        request.set_model(std::to_string(i));
        EXPECT_TRUE(stub->Predict(&context, request, &responses[i]).ok());
      });
    }
    const std::vector<grpc::ServerUnaryReactor*> waiting = service.Await();
    {
      const GatheredWrites together;
      for (grpc::ServerUnaryReactor* reactor : waiting) reactor->Finish(grpc::Status::OK);
      held_back = together.writes();
    }
    callers.clear();
    for (int i = 0; i < kCalls; ++i) EXPECT_EQ(responses[i].model(), std::to_string(i));
  }
  EXPECT_GT(held_back, 0) << "gRPC does not write by sendmsg, or not by the one that is ours";
}

}  // namespace
}  // namespace calserve
