#include "server/base/gathered_answers.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "calserve/v1/prediction.grpc.pb.h"
#include "server/base/gathered_writes.h"
#include "server/base/mutex.h"
#include "server/rpc/polling_threads.h"
#include "tests/unit/base/tcp_pair.h"
#include "tests/unit/rpc/loopback_server.h"

namespace calserve {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr int kCalls = 8;
constexpr int kRounds = 100;

struct WaitingCall {
  grpc_call* call;
  grpc::ServerUnaryReactor* reactor;
};

// Answers nothing until it is told to.
class WaitingService final : public v1::PredictionService::CallbackService {
 public:
  grpc::ServerUnaryReactor* Predict(grpc::CallbackServerContext* context, const v1::PredictRequest* request,
                                    v1::PredictResponse* response) override {
    response->set_model(request->model());
    MutexLock lock(&mu_);
    threads_.insert(std::this_thread::get_id());
    waiting_.push_back({context->c_call(), context->DefaultReactor()});
    came_.SignalAll();
    return waiting_.back().reactor;
  }
  // Whether it has handled a call.
  bool IsOneOfGrpcs(std::thread::id thread) {
    MutexLock lock(&mu_);
    return threads_.contains(thread);
  }
  // What waits, once all have come.
  std::vector<WaitingCall> Await() {
    MutexLock lock(&mu_);
    while (waiting_.size() < kCalls) came_.Wait(&mu_);
    return std::exchange(waiting_, {});
  }

 private:
  Mutex mu_;
  CondVar came_;
  std::vector<WaitingCall> waiting_ ABSL_GUARDED_BY(mu_);
  std::set<std::thread::id> threads_ ABSL_GUARDED_BY(mu_);
};

// Whoever handled the calls of a server that starts meanwhile also gives their answers.
struct OneThreadPolls {
  OneThreadPolls() { LimitPollingThreads(1); }
  ~OneThreadPolls() { LimitPollingThreads(std::numeric_limits<int>::max()); }
};

class GatheredAnswersTest : public testing::Test {
 protected:
  // Returns once every call has had the answer to its own request from `answer`.
  void CallAll(const std::function<void(std::vector<WaitingCall>)>& answer) {
    std::vector<v1::PredictResponse> responses(kCalls);
    std::vector<std::jthread> callers;
    for (int i = 0; i < kCalls; ++i) {
      callers.emplace_back([&, i] {
        grpc::ClientContext context;
        v1::PredictRequest request;
        request.set_model(std::to_string(i));
        EXPECT_TRUE(stub_->Predict(&context, request, &responses[i]).ok());
      });
    }
    answer(service_.Await());
    callers.clear();
    for (int i = 0; i < kCalls; ++i) EXPECT_EQ(responses[i].model(), std::to_string(i));
  }

  const OneThreadPolls one_;
  WaitingService service_;

 private:
  const LoopbackServer server_{service_};
  const std::unique_ptr<v1::PredictionService::Stub> stub_ =
      v1::PredictionService::NewStub(server_.NewChannel());
};

TEST_F(GatheredAnswersTest, HoldBackWhatGrpcWritesAndEveryCallIsAnswered) {
  // In a round in which another thread holds the connection that one writes, and none is held back.
  int held_back = 0;
  for (int round = 0; round < kRounds && held_back == 0; ++round) {
    CallAll([&](const std::vector<WaitingCall>& waiting) {
      const GatheredWrites together;
      for (const WaitingCall& call : waiting) call.reactor->Finish(grpc::Status::OK);
      held_back = together.writes();
    });
  }
  EXPECT_GT(held_back, 0) << "gRPC does not write by sendmsg, or not by the one that is ours";
}

TEST_F(GatheredAnswersTest, AreGivenInTheirOrderByOneOfGrpcsThreadsAndSentInOnePiece) {
  // Written by one thread, before the last answer of a round is given.
  std::vector<int> order, unsent;
  std::set<std::thread::id> threads;
  // The kernel holds bytes back for 200 ms: a machine that stands still so long gets another chance.
  for (int tries = 0; tries < 10 && unsent != std::vector<int>{1, 2}; ++tries) {
    order.clear();
    unsent.clear();
    threads.clear();
    const TcpPair pair;
    CallAll([&](const std::vector<WaitingCall>& waiting) {
      std::vector<GatheredAnswers::Answer> answers;
      for (int i = 0; i < 2; ++i) {
        answers.push_back([&] {
          SendMessage(pair.writer(), "x");
          unsent.push_back(pair.unsent());
        });
      }
      for (int i = 0; i < kCalls; ++i) {
        answers.push_back([&, i, reactor = waiting[i].reactor] {
          order.push_back(i);
          threads.insert(std::this_thread::get_id());
          reactor->Finish(grpc::Status::OK);
        });
      }
      GiveWherePolled(waiting.front().call, std::move(answers));
    });
    EXPECT_EQ(pair.Read(2), "xx");
    EXPECT_THAT(order, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
    EXPECT_EQ(threads.size(), 1u);
    EXPECT_TRUE(service_.IsOneOfGrpcs(*threads.begin()));
  }
  EXPECT_THAT(unsent, ElementsAre(1, 2));
}

TEST_F(GatheredAnswersTest, OneOrTwoAreGivenAtOnce) {
  CallAll([&](const std::vector<WaitingCall>& waiting) {
    std::vector<std::thread::id> threads;
    for (const WaitingCall& call : waiting) {
      std::vector<GatheredAnswers::Answer> one;
      one.push_back([&, reactor = call.reactor] {
        threads.push_back(std::this_thread::get_id());
        reactor->Finish(grpc::Status::OK);
      });
      GiveWherePolled(call.call, std::move(one));
    }
    EXPECT_THAT(threads, SizeIs(kCalls));
    EXPECT_THAT(threads, Each(std::this_thread::get_id()));
  });
}

TEST_F(GatheredAnswersTest, OneOfGrpcsThreadsGivesAnyNumberAtOnce) {
  const auto given_at_once = std::make_shared<std::promise<int>>();
  CallAll([&](const std::vector<WaitingCall>& waiting) {
    const auto give_all = [given_at_once, waiting] {
      int given = 0;
      std::vector<GatheredAnswers::Answer> answers;
      for (const WaitingCall& call : waiting) {
        answers.push_back([&given, reactor = call.reactor] {
          ++given;
          reactor->Finish(grpc::Status::OK);
        });
      }
      GiveWherePolled(waiting.front().call, std::move(answers));
      given_at_once->set_value(given);
    };
    std::vector<GatheredAnswers::Answer> posted;
    posted.push_back(give_all);
    for (int i = 0; i < 2; ++i) posted.push_back([] {});  // so many that they are not given here
    GiveWherePolled(waiting.front().call, std::move(posted));
  });
  EXPECT_EQ(given_at_once->get_future().get(), kCalls);
}

}  // namespace
}  // namespace calserve
