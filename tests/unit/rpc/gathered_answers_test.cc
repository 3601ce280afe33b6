#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "calserve/v1/prediction.grpc.pb.h"
#include "server/base/gathered_writes.h"
#include "server/base/mutex.h"

namespace calserve {
namespace {

constexpr int kCalls = 8;

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
    return waiting_;
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
    EXPECT_GT(together.writes(), 0) << "gRPC does not write by sendmsg, or not by the one that is ours";
  }
  callers.clear();
  for (int i = 0; i < kCalls; ++i) EXPECT_EQ(responses[i].model(), std::to_string(i));
}

}  // namespace
}  // namespace calserve
