#include "tests/benchmarks/load/load_client.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>

#include "absl/time/clock.h"
#include "calserve/v1/prediction.grpc.pb.h"
#include "tests/end_to_end/api.h"
#include "tests/end_to_end/scenario.h"

namespace calserve::load {

absl::Duration Quantile(const std::vector<int64_t>& sorted_nanos, double quantile) {
  if (sorted_nanos.empty()) return absl::ZeroDuration();
  const size_t rank = static_cast<size_t>(quantile * static_cast<double>(sorted_nanos.size() - 1));
  return absl::Nanoseconds(sorted_nanos[rank]);
}

struct LoadClient::Connection {
  explicit Connection(const std::shared_ptr<grpc::Channel>& channel)
      : messages(v1::PredictionService::NewStub(channel)), bytes(channel) {}

  const std::unique_ptr<v1::PredictionService::Stub> messages;
  grpc::GenericStub bytes;
};

// What every call sends, as a message and in bytes, and what the callers of one measurement share.
struct LoadClient::Load {
  explicit Load(v1::PredictRequest r) : request(std::move(r)) {
    const grpc::Slice slice(request.SerializeAsString());
    bytes = grpc::ByteBuffer(&slice, 1);
  }

  const v1::PredictRequest request;
  grpc::ByteBuffer bytes;

  std::atomic<bool> stop{false};
  std::mutex mu;
  std::condition_variable ended;
  int running = 0;  // callers; guarded by mu
};

// One of the closed loop's callers.
struct LoadClient::Caller {
  Caller(Connection& c, Load& l) : connection(c), load(l) {}

  void Prepare() {
    context.emplace();
    start = absl::GetCurrentTimeNanos();
  }
  // Calls until it is to stop, on this thread.
  void CallInTurn() {
    v1::PredictResponse response;
    do {
      Prepare();
    } while (GoesOn(connection.messages->Predict(&*context, load.request, &response)));
  }
  // Starts the next call from the callback of the one before.
  void StartCall() {
    Prepare();
    answer.Clear();
    connection.bytes.UnaryCall(&*context, "/calserve.v1.PredictionService/Predict", grpc::StubOptions(),
                               &load.bytes, &answer, [this](const grpc::Status& status) {
                                 if (GoesOn(status)) StartCall();
                               });
  }
  bool GoesOn(const grpc::Status& status) {
    latencies.push_back(absl::GetCurrentTimeNanos() - start);
    if (status.ok() && !load.stop.load(std::memory_order_relaxed)) return true;
    std::lock_guard lock(load.mu);
    if (!status.ok()) error = status.error_message();
    --load.running;
    load.ended.notify_all();
    return false;
  }

  Connection& connection;
  Load& load;

  std::optional<grpc::ClientContext> context;
  grpc::ByteBuffer answer;
  int64_t start = 0;
  std::vector<int64_t> latencies;  // nanoseconds
  std::string error;
};

LoadClient::LoadClient(const std::string& address, v1::PredictRequest request, Calls calls)
    : calls_(calls), load_(std::make_unique<Load>(std::move(request))) {
  for (int i = 0; i < 2; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    connections_.push_back(std::make_unique<Connection>(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments)));
  }
}
LoadClient::~LoadClient() = default;

Measurement LoadClient::RunFor(int concurrency, absl::Duration duration) {
  load_->stop = false;
  load_->running = concurrency;  // no caller is there yet
  std::vector<std::unique_ptr<Caller>> callers;
  for (int i = 0; i < concurrency; ++i) {
    callers.push_back(std::make_unique<Caller>(*connections_[i % connections_.size()], *load_));
  }
  const absl::Time begin = absl::Now();
  std::vector<std::jthread> threads;
  for (const auto& caller : callers) {
    if (calls_ == Calls::kCallback) {
      caller->StartCall();
    } else {
      threads.emplace_back([&caller] { caller->CallInTurn(); });
    }
  }
  absl::SleepFor(duration);
  load_->stop = true;
  std::unique_lock lock(load_->mu);
  load_->ended.wait(lock, [this] { return load_->running == 0; });
  const absl::Duration took = absl::Now() - begin;
  lock.unlock();
  threads.clear();

  std::vector<int64_t> latencies;
  for (const auto& caller : callers) {
    if (!caller->error.empty()) throw std::runtime_error(caller->error);
    latencies.insert(latencies.end(), caller->latencies.begin(), caller->latencies.end());
  }
  std::sort(latencies.begin(), latencies.end());
  last_requests_ = static_cast<int64_t>(latencies.size());
  Measurement measurement;
  measurement.per_second = static_cast<double>(last_requests_) / absl::ToDoubleSeconds(took);
  measurement.p50 = Quantile(latencies, 0.5);
  measurement.p99 = Quantile(latencies, 0.99);
  return measurement;
}

double MeasureFeedback(const std::string& address, int labels, int streams, int batch) {
  const e2e::Api api(address, absl::Minutes(5));
  std::vector<std::vector<v1::StreamFeedbackRequest>> requests(streams);
  for (int stream = 0; stream < streams; ++stream) {
    const std::vector<e2e::Labelled> predictions =
        e2e::PredictTestImages(api, stream * labels / streams, labels / streams);
    for (size_t i = 0; i < predictions.size(); ++i) {
      if (i % batch == 0) requests[stream].emplace_back();
      *requests[stream].back().add_items() = e2e::Item(predictions[i].ticket, predictions[i].label);
    }
  }
  constexpr size_t kInFlight = 4;
  std::atomic<int64_t> acknowledged{0};
  const absl::Time begin = absl::Now();
  std::vector<std::jthread> threads;
  for (const auto& mine : requests) {
    threads.emplace_back([&address, &mine, &acknowledged] {
      const e2e::Api own(address, absl::Minutes(5));
      const auto stream = own.StreamFeedback();
      size_t sent = 0;
      for (size_t received = 0; received < mine.size(); ++received) {
        while (sent < mine.size() && sent < received + kInFlight) stream->Write(mine[sent++]);
        v1::StreamFeedbackResponse response;
        if (!stream->Read(&response)) break;
        for (const v1::FeedbackResult& result : response.results()) {
          acknowledged += result.outcome() == v1::FEEDBACK_OUTCOME_ACCEPTED;
        }
      }
    });
  }
  threads.clear();
  const absl::Duration took = absl::Now() - begin;
  if (acknowledged != labels / streams * streams) throw std::runtime_error("a label was not accepted");
  return static_cast<double>(acknowledged) / absl::ToDoubleSeconds(took);
}

}  // namespace calserve::load
