#include "server/rpc/polling_threads.h"

#include <grpc/grpc.h>
#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "calserve/v1/prediction.grpc.pb.h"
#include "server/base/before_waiting.h"
#include "server/base/mutex.h"
#include "server/base/on_cores.h"
#include "tests/unit/rpc/loopback_server.h"

namespace calserve {
namespace {

constexpr int kEverybody = std::numeric_limits<int>::max();

class PollingThreadsTest : public testing::Test {
 protected:
  ~PollingThreadsTest() override {
    LimitPollingThreads(kEverybody);
    SpinPollingThreads(absl::ZeroDuration());
  }
};

// Answers each call at once, and knows on which threads.
class ThreadsService final : public v1::PredictionService::CallbackService {
 public:
  grpc::ServerUnaryReactor* Predict(grpc::CallbackServerContext* context, const v1::PredictRequest*,
                                    v1::PredictResponse*) override {
    {
      MutexLock lock(&mu_);
      threads_.insert(std::this_thread::get_id());
    }
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  size_t threads() {
    MutexLock lock(&mu_);
    return threads_.size();
  }

 private:
  Mutex mu_;
  std::set<std::thread::id> threads_ ABSL_GUARDED_BY(mu_);
};

// Returns once every caller has had its answers, on a connection of its own.
void Call(const LoopbackServer& server, int callers, int calls_each) {
  std::vector<std::jthread> threads;
  for (int i = 0; i < callers; ++i) {
    threads.emplace_back([&] {
      const auto stub = v1::PredictionService::NewStub(server.NewChannel());
      for (int call = 0; call < calls_each; ++call) {
        grpc::ClientContext context;
        v1::PredictResponse response;
        const grpc::Status status = stub->Predict(&context, {}, &response);
        EXPECT_TRUE(status.ok()) << status.error_message();
      }
    });
  }
}

// On how many threads a server handles 8 callers' calls.
size_t ThreadsOfServer(int calls_each) {
  ThreadsService service;
  const LoopbackServer server(service);
  Call(server, /*callers=*/8, calls_each);
  return service.threads();
}

TEST_F(PollingThreadsTest, OneHandlesEveryCallOfAServerWhereOneMay) {
  LimitPollingThreads(1);
  for (int server = 0; server < 3; ++server) EXPECT_EQ(ThreadsOfServer(100), 1u) << "server " << server;
}

TEST_F(PollingThreadsTest, AllOfGrpcsDoWhereNothingIsSaid) {
  size_t most = 0;
  for (int server = 0; server < 20 && most < 2; ++server) most = std::max(most, ThreadsOfServer(200));
  EXPECT_GE(most, 2u) << "the test above says nothing: gRPC has a single thread of its own";
}

// Leaves each call to be answered once its thread has read all that are there.
class PutOffService final : public v1::PredictionService::CallbackService {
 public:
  grpc::ServerUnaryReactor* Predict(grpc::CallbackServerContext* context, const v1::PredictRequest*,
                                    v1::PredictResponse*) override {
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    const auto answer = [this, reactor, read_by = std::this_thread::get_id()] {
      if (std::this_thread::get_id() != read_by) ++elsewhere_;
      reactor->Finish(grpc::Status::OK);
    };
    if (!RunBeforeWaiting(answer)) reactor->Finish(grpc::Status(grpc::StatusCode::INTERNAL, "not put off"));
    return reactor;
  }
  int elsewhere() const { return elsewhere_; }

 private:
  std::atomic<int> elsewhere_{0};
};

TEST_F(PollingThreadsTest, DoWhatWasLeftForThemBeforeTheyWait) {
  PutOffService service;
  const LoopbackServer server(service);
  Call(server, /*callers=*/4, /*calls_each=*/100);
  EXPECT_EQ(service.elsewhere(), 0);
}

absl::Duration CpuTimeOf(clockid_t clock) {
  timespec time;
  EXPECT_EQ(clock_gettime(clock, &time), 0);
  return absl::DurationFromTimespec(time);
}

// As a thread of gRPC's callback API: waits for an event and handles it.
grpc_completion_type HandleNext(grpc::CompletionQueue& queue, gpr_timespec deadline) {
  const grpc_event event = grpc_completion_queue_next(queue.cq(), deadline, nullptr);
  if (event.type != GRPC_OP_COMPLETE) return event.type;
  void* tag = event.tag;  // of an alarm, which keeps itself until then
  bool ok = event.success != 0;
  static_cast<grpc::internal::CompletionQueueTag*>(tag)->FinalizeResult(&tag, &ok);
  return event.type;
}

// A thread such as gRPC's callback API has, but which ends with the first event.
class NextingThread {
 public:
  explicit NextingThread(grpc::CompletionQueue& queue)
      : thread_([this, &queue] {
          pthread_setname_np(pthread_self(), "nexting_thread");
          type_ = HandleNext(queue, gpr_now(GPR_CLOCK_REALTIME));
          cpu_time_ = CpuTimeOf(CLOCK_THREAD_CPUTIME_ID);
        }) {}
  grpc_completion_type Event() {
    thread_.join();
    return type_;
  }
  // Once it has ended: until the event.
  absl::Duration cpu_time() const { return cpu_time_; }
  // While it waits for the event.
  absl::Duration CpuTimeSoFar() {
    clockid_t clock;
    EXPECT_EQ(pthread_getcpuclockid(thread_.native_handle(), &clock), 0);
    return CpuTimeOf(clock);
  }
  // Until it has taken so much, which must not be long.
  bool AwaitCpuTime(absl::Duration time) {
    for (int i = 0; i < 1000 && CpuTimeSoFar() < time; ++i) absl::SleepFor(absl::Milliseconds(10));
    return CpuTimeSoFar() >= time;
  }

 private:
  absl::Duration cpu_time_;
  grpc_completion_type type_ = GRPC_QUEUE_TIMEOUT;
  std::thread thread_;  // Last: it uses type_.
};

// Destroyed when nothing can come any more.
struct Queue : grpc::CompletionQueue {
  ~Queue() {
    Shutdown();
    void* tag;
    bool ok;
    while (Next(&tag, &ok)) continue;
  }
};

TEST_F(PollingThreadsTest, WaitForTheNextEventHoweverLong) {
  Queue queue;
  NextingThread thread(queue);
  // Past the second after which gRPC's thread would be told that there is none, and rest.
  grpc::Alarm alarm(&queue, std::chrono::system_clock::now() + std::chrono::milliseconds(1'100), nullptr);
  EXPECT_EQ(thread.Event(), GRPC_OP_COMPLETE);
}

// Of a thread that waits 100 ms for an event.
absl::Duration CpuTimeOfAWait() {
  Queue queue;
  NextingThread thread(queue);
  grpc::Alarm alarm(&queue, std::chrono::system_clock::now() + std::chrono::milliseconds(100), nullptr);
  EXPECT_EQ(thread.Event(), GRPC_OP_COMPLETE);
  return thread.cpu_time();
}

// Far less than a thread takes that spins meanwhile, also where others take the core from it for most of it.
constexpr absl::Duration kNoSpin = absl::Milliseconds(3);

TEST_F(PollingThreadsTest, KeepTheirCoreAsLongAsIsSaid) {
  EXPECT_LT(CpuTimeOfAWait(), kNoSpin);
  SpinPollingThreads(absl::Hours(1));
  EXPECT_GT(CpuTimeOfAWait(), kNoSpin);
}

TEST_F(PollingThreadsTest, LeaveItToSeveralRequestsButNotToOne) {
  SpinPollingThreads(absl::Hours(1));
  const OnCores one(true);
  EXPECT_GT(CpuTimeOfAWait(), kNoSpin);
  const OnCores other(true);
  EXPECT_LT(CpuTimeOfAWait(), kNoSpin);
}

TEST_F(PollingThreadsTest, LeaveItToRequestsThatComeLater) {
  SpinPollingThreads(absl::Hours(1));
  Queue queue;
  NextingThread thread(queue);
  EXPECT_TRUE(thread.AwaitCpuTime(kNoSpin)) << "it does not spin";
  const OnCores one(true), other(true);
  absl::SleepFor(absl::Milliseconds(50));  // it may be about to see it
  const absl::Duration before = thread.CpuTimeSoFar();
  absl::SleepFor(absl::Milliseconds(300));
  EXPECT_LT(thread.CpuTimeSoFar() - before, kNoSpin);
  grpc::Alarm alarm(&queue, std::chrono::system_clock::now(), nullptr);
  EXPECT_EQ(thread.Event(), GRPC_OP_COMPLETE);
}

// How often a thread gives up its core while it waits for so many events, 2 ms apart.
int64_t SwitchesOf(int events) {
  Queue queue;
  rusage used = {};
  std::jthread([&] {
    pthread_setname_np(pthread_self(), "nexting_thread");
    for (int i = 0; i < events; ++i) {
      grpc::Alarm alarm(&queue, std::chrono::system_clock::now() + std::chrono::milliseconds(2), nullptr);
      HandleNext(queue, gpr_inf_future(GPR_CLOCK_REALTIME));
    }
    getrusage(RUSAGE_THREAD, &used);
  }).join();
  return used.ru_nvcsw;
}

TEST_F(PollingThreadsTest, SleepThroughWhatIsAlwaysQuietBeforeTheyKeepTheirCore) {
  SpinPollingThreads(absl::Hours(1));
  constexpr int kEvents = 100;
  // On a machine where sleeps end late there are few for a while.
  int64_t most = 0;
  for (int attempt = 0; attempt < 20 && most <= kEvents / 2; ++attempt)
    most = std::max(most, SwitchesOf(kEvents));
  EXPECT_GT(most, kEvents / 2) << "a thread that spins gives up its core for a lock now and then";
}

TEST_F(PollingThreadsTest, DoItAlsoWhereThereIsAlwaysAnotherEvent) {
  Queue queue;
  int events = 0;
  std::jthread([&] {
    pthread_setname_np(pthread_self(), "nexting_thread");
    std::vector<std::unique_ptr<grpc::Alarm>> alarms;
    const auto another = [&] {
      alarms.push_back(std::make_unique<grpc::Alarm>(&queue, gpr_time_0(GPR_CLOCK_REALTIME), nullptr));
    };
    another();
    bool left = false, done = false;
    for (; !done && events < 10'000; ++events) {
      HandleNext(queue, gpr_inf_future(GPR_CLOCK_REALTIME));
      if (!left) left = RunBeforeWaiting([&] { done = true; });
      another();
    }
    EXPECT_TRUE(done);
  }).join();
  EXPECT_GT(events, 2) << "before it there was more to read";
}

TEST_F(PollingThreadsTest, OthersHaveTheDeadlineThatTheyAskFor) {
  Queue queue;
  EXPECT_EQ(grpc_completion_queue_next(queue.cq(), gpr_now(GPR_CLOCK_REALTIME), nullptr).type,
            GRPC_QUEUE_TIMEOUT);
}

TEST_F(PollingThreadsTest, EveryThreadEndsWithItsQueue) {
  LimitPollingThreads(2);
  Queue queue, other;
  std::vector<std::unique_ptr<NextingThread>> threads;
  for (int i = 0; i < 6; ++i) threads.push_back(std::make_unique<NextingThread>(queue));
  NextingThread of_other(other);
  queue.Shutdown();
  for (const auto& thread : threads) EXPECT_EQ(thread->Event(), GRPC_QUEUE_SHUTDOWN);
  grpc::Alarm alarm(&other, std::chrono::system_clock::now(), nullptr);
  EXPECT_EQ(of_other.Event(), GRPC_OP_COMPLETE) << "the other queue has not ended";
}

TEST_F(PollingThreadsTest, AThreadThatEndsGivesItsPlaceToAnother) {
  LimitPollingThreads(1);
  Queue queue;
  std::vector<std::unique_ptr<NextingThread>> threads;
  for (int i = 0; i < 4; ++i) threads.push_back(std::make_unique<NextingThread>(queue));
  std::vector<std::unique_ptr<grpc::Alarm>> alarms;  // one event each
  for (int i = 0; i < 4; ++i) {
    alarms.push_back(std::make_unique<grpc::Alarm>(&queue, std::chrono::system_clock::now(), nullptr));
  }
  for (const auto& thread : threads) EXPECT_EQ(thread->Event(), GRPC_OP_COMPLETE);
}

}  // namespace
}  // namespace calserve
