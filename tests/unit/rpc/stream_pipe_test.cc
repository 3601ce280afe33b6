#include "server/rpc/stream_pipe.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "calserve/v1/prediction.grpc.pb.h"
#include "server/base/gathered_answers.h"
#include "server/base/mutex.h"
#include "server/rpc/access_gate.h"
#include "server/rpc/call_log.h"
#include "server/rpc/call_tracker.h"
#include "tests/unit/prediction/predictor_fixture.h"
#include "tests/unit/rpc/loopback_server.h"

namespace calserve {
namespace {

using v1::StreamPredictRequest;
using v1::StreamPredictResponse;
using Pipe = StreamPipe<StreamPredictRequest, StreamPredictResponse>;
using ClientStream = grpc::ClientReaderWriter<StreamPredictRequest, StreamPredictResponse>;

constexpr int kFirst = 8;  // requests that a stream reads before its first answer

// What waits for the test to answer it.
struct Asked {
  int64_t sequence = 0;
  Pipe::Answer answer;
};

// Answers nothing until it is told to.
class HoldingService final
    : public v1::PredictionService::WithRawCallbackMethod_StreamPredict<v1::PredictionService::Service> {
 public:
  HoldingService(Predictor& predictor, Pipe::Order order)
      : order_(order), log_(predictor), gate_(nullptr, nullptr, log_, false) {}

  ByteStream* StreamPredict(grpc::CallbackServerContext* context) override {
    return new Stream(*this, gate_.Open(*context, method::kStreamPredict));
  }
  // Once so many wait.
  std::vector<Asked> Await(size_t requests) {
    MutexLock lock(&mu_);
    while (asked_.size() < requests) came_.Wait(&mu_);
    return std::exchange(asked_, {});
  }
  CallTracker& calls() { return calls_; }

 private:
  class Stream final : public Pipe {
   public:
    Stream(HoldingService& service, Admission admission)
        : Pipe(service.calls_, std::move(admission), service.order_, /*window=*/128, WhenFull::kAnswer),
          service_(service) {
      Start();
    }

   private:
    void Handle(std::unique_ptr<StreamPredictRequest> request, const TensorsInPlace&, absl::Time,
                Answer answer) override {
      MutexLock lock(&service_.mu_);
      service_.asked_.push_back({request->sequence(), std::move(answer)});
      service_.came_.SignalAll();
    }
    HoldingService& service_;
  };

  const Pipe::Order order_;
  CallTracker calls_;
  CallLog log_;
  const AccessGate gate_;
  Mutex mu_;
  CondVar came_;
  std::vector<Asked> asked_ ABSL_GUARDED_BY(mu_);
};

void Give(const Asked& asked) {
  StreamPredictResponse response;
  response.set_sequence(asked.sequence);
  asked.answer(std::move(response));
}

// As an instance's thread does with the answers of a batch.
void GiveTogether(const std::vector<Asked>& batch, const std::function<void()>& before_the_end) {
  std::jthread([&] {
    const GatheredAnswers together(batch.size());
    for (const Asked& asked : batch) Give(asked);
    before_the_end();
  }).join();
}

// Pieces in which the sockets of this process have sent anything so far.
int64_t SegmentsSent() {
  int64_t segments = 0;
  for (const auto& file : std::filesystem::directory_iterator("/proc/self/fd")) {
    tcp_info info = {};
    socklen_t size = sizeof info;
    const int socket = std::atoi(file.path().filename().c_str());
    if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0) segments += info.tcpi_data_segs_out;
  }
  return segments;
}

class StreamPipeTest : public PredictorFixture, public testing::WithParamInterface<Pipe::Order> {
 protected:
  void SetUp() override {
    Publish();
    service_ = std::make_unique<HoldingService>(*predictor_, GetParam());
    server_ = std::make_unique<LoopbackServer>(*service_);
    stub_ = v1::PredictionService::NewStub(server_->NewChannel());
    stream_ = stub_->StreamPredict(&context_);
  }
  void TearDown() override { context_.TryCancel(); }

  // Asks for so many more, and returns them once they wait.
  std::vector<Asked> Ask(int requests) {
    for (int i = 0; i < requests; ++i) {
      StreamPredictRequest request;
      request.set_sequence(next_++);
      EXPECT_TRUE(stream_->Write(request));
    }
    return service_->Await(requests);
  }
  std::vector<int64_t> Read(int answers) { return Read(*stream_, answers); }
  static std::vector<int64_t> Read(ClientStream& stream, int answers) {
    std::vector<int64_t> sequences;
    StreamPredictResponse response;
    while (answers-- > 0 && stream.Read(&response)) sequences.push_back(response.sequence());
    return sequences;
  }
  static std::vector<int64_t> Sequences(int64_t first, int count) {
    std::vector<int64_t> sequences(count);
    std::iota(sequences.begin(), sequences.end(), first);
    return sequences;
  }

  grpc::ClientContext context_;
  std::unique_ptr<HoldingService> service_;
  std::unique_ptr<LoopbackServer> server_;
  std::unique_ptr<v1::PredictionService::Stub> stub_;
  std::unique_ptr<ClientStream> stream_;
  int64_t next_ = 0;
};

TEST_P(StreamPipeTest, TheAnswersOfABatchComeTogether) {
  const std::vector<Asked> batch = Ask(kFirst);
  std::atomic<bool> given = false;
  std::jthread reader([&] {
    EXPECT_EQ(Read(1), Sequences(0, 1));
    EXPECT_TRUE(given);
    EXPECT_EQ(Read(kFirst - 1), Sequences(1, kFirst - 1));
  });
  GiveTogether(batch, [&] {
    absl::SleepFor(absl::Milliseconds(100));
    given = true;
  });
  reader.join();
  stream_->WritesDone();
  EXPECT_TRUE(stream_->Finish().ok());
}

TEST_P(StreamPipeTest, AndLeaveInFewPieces) {
  constexpr int kBatch = 64;
  GiveTogether(Ask(kFirst), [] {});
  EXPECT_EQ(Read(kFirst), Sequences(0, kFirst));
  const std::vector<Asked> batch = Ask(kBatch);
  absl::SleepFor(absl::Milliseconds(100));  // what the requests make the two sides say to each other
  const int64_t before = SegmentsSent();
  GiveTogether(batch, [] {});
  EXPECT_EQ(Read(kBatch), Sequences(kFirst, kBatch));
  EXPECT_LT(SegmentsSent() - before, kBatch / 8);
}

TEST_P(StreamPipeTest, OfSeveralThreadsEachIsGivenOnce) {
  constexpr int kRounds = 20, kThreads = 4, kEach = 8;
  GiveTogether(Ask(kFirst), [] {});
  EXPECT_EQ(Read(kFirst), Sequences(0, kFirst));
  for (int round = 0; round < kRounds; ++round) {
    const int64_t first = next_;
    const std::vector<Asked> all = Ask(kThreads * kEach);
    {
      std::vector<std::jthread> threads;
      for (int thread = 0; thread < kThreads; ++thread) {
        const auto begin = all.begin() + thread * kEach;
        threads.emplace_back([begin] { GiveTogether({begin, begin + kEach}, [] {}); });
      }
    }
    std::vector<int64_t> read = Read(kThreads * kEach);
    if (GetParam() == Pipe::Order::kAsFinished) std::sort(read.begin(), read.end());
    EXPECT_EQ(read, Sequences(first, kThreads * kEach));
  }
}

TEST_P(StreamPipeTest, AnErrorAmongThemEndsTheStreamOnceThoseBeforeItAreSent) {
  std::vector<Asked> batch = Ask(kFirst);
  std::jthread([&] {
    const GatheredAnswers together(batch.size());
    for (const Asked& asked : batch) {
      if (asked.sequence < 5) {
        Give(asked);
      } else {
        asked.answer(absl::InternalError("of one"));
      }
    }
  }).join();
  EXPECT_EQ(Read(kFirst), Sequences(0, 5));
  const grpc::Status status = stream_->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(status.error_message(), "of one");
}

TEST_P(StreamPipeTest, AnErrorKeepsNoneBackThatIsBeforeIt) {
  GiveTogether(Ask(kFirst), [] {});
  EXPECT_EQ(Read(kFirst), Sequences(0, kFirst));
  const std::vector<Asked> batch = Ask(8);
  for (int i = 0; i < 5; ++i) Give(batch[i]);
  batch[5].answer(absl::InternalError("of one"));
  EXPECT_EQ(Read(5), Sequences(kFirst, 5)) << "while two are under way";
  for (int i = 6; i < 8; ++i) Give(batch[i]);
  EXPECT_EQ(Read(1).size(), 0u);
  EXPECT_EQ(stream_->Finish().error_code(), grpc::StatusCode::INTERNAL);
}

TEST_P(StreamPipeTest, ABatchKeepsNoneBackThatWasGivenBefore) {
  GiveTogether(Ask(kFirst), [] {});
  EXPECT_EQ(Read(kFirst), Sequences(0, kFirst));
  for (int round = 0; round < 50; ++round) {
    const int64_t first = next_;
    const std::vector<Asked> all = Ask(16);
    GiveTogether({all.begin(), all.begin() + 8}, [] {});
    GiveTogether({all.begin() + 8, all.end()}, [&] { EXPECT_EQ(Read(8), Sequences(first, 8)); });
    EXPECT_EQ(Read(8), Sequences(first + 8, 8));
  }
}

TEST_P(StreamPipeTest, OfSeveralStreamsOneOfGrpcsThreadsWrites) {
  constexpr int kStreams = 4, kEach = 2;
  std::vector<grpc::ClientContext> contexts(kStreams);
  std::vector<std::unique_ptr<ClientStream>> streams;
  for (grpc::ClientContext& context : contexts) {
    streams.push_back(stub_->StreamPredict(&context));
    for (int i = 0; i < kEach; ++i) {
      StreamPredictRequest request;
      request.set_sequence(i);
      EXPECT_TRUE(streams.back()->Write(request));
    }
  }
  GiveTogether(service_->Await(kStreams * kEach), [&] {
    contexts[0].TryCancel();
    EXPECT_EQ(streams[0]->Finish().error_code(), grpc::StatusCode::CANCELLED);
  });
  for (int i = 1; i < kStreams; ++i) {
    EXPECT_EQ(Read(*streams[i], kEach), Sequences(0, kEach));
    streams[i]->WritesDone();
    EXPECT_TRUE(streams[i]->Finish().ok());
  }
  context_.TryCancel();
  EXPECT_EQ(service_->calls().WaitUntilIdle(absl::Seconds(10)), 0);
}

// The stream lives until what was left for it has run (AddressSanitizer sees to it).
TEST_P(StreamPipeTest, ItsClientMayBeGoneBeforeTheyAreGiven) {
  GiveTogether(Ask(kFirst), [&] {
    context_.TryCancel();
    EXPECT_EQ(stream_->Finish().error_code(), grpc::StatusCode::CANCELLED);
    absl::SleepFor(absl::Milliseconds(50));
    EXPECT_EQ(service_->calls().under_way(), 1);
  });
  EXPECT_EQ(service_->calls().WaitUntilIdle(absl::Seconds(10)), 0);
}

INSTANTIATE_TEST_SUITE_P(Orders, StreamPipeTest,
                         testing::Values(Pipe::Order::kOfRequests, Pipe::Order::kAsFinished),
                         [](const auto& order) {
                           return order.param == Pipe::Order::kOfRequests ? "OfRequests" : "AsFinished";
                         });

}  // namespace
}  // namespace calserve
