#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "calserve/v1/prediction.grpc.pb.h"
#include "server/base/gathered_writes.h"
#include "server/base/mutex.h"

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
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  ASSERT_NE(server, nullptr);
  const auto channel =
      grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials());
  const auto stub = v1::PredictionService::NewStub(channel);

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
