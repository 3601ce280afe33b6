#include "tests/benchmarks/load/load_client.h"

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

struct LoadClient::Connections {
  std::vector<std::unique_ptr<v1::PredictionService::Stub>> stubs;
};

// One of the closed loop's callers.
struct LoadClient::Caller {
  Caller(v1::PredictionService::Stub& s, const v1::PredictRequest& r) : stub(s), request(r) {}

  void Prepare() {
    context.emplace();
    response.Clear();
    start = absl::GetCurrentTimeNanos();
  }
  // Calls until it is to stop, on this thread.
  void CallInTurn() {
    do {
      Prepare();
    } while (GoesOn(stub.Predict(&*context, request, &response)));
  }
  // Starts the next call from the callback of the one before.
  void StartCall() {
    Prepare();
    stub.async()->Predict(&*context, &request, &response, [this](const grpc::Status& status) {
      if (GoesOn(status)) StartCall();
    });
  }
  bool GoesOn(const grpc::Status& status) {
    latencies.push_back(absl::GetCurrentTimeNanos() - start);
    if (status.ok() && !stop->load(std::memory_order_relaxed)) return true;
    std::lock_guard lock(*mu);
    if (!status.ok()) error = status.error_message();
    --*running;
    ended->notify_all();
    return false;
  }

  v1::PredictionService::Stub& stub;
  const v1::PredictRequest& request;
  std::atomic<bool>* stop = nullptr;
  std::mutex* mu = nullptr;
  std::condition_variable* ended = nullptr;
  int* running = nullptr;

  std::optional<grpc::ClientContext> context;
  v1::PredictResponse response;
  int64_t start = 0;
  std::vector<int64_t> latencies;  // nanoseconds
  std::string error;
};

LoadClient::LoadClient(const std::string& address, v1::PredictRequest request, Calls calls)
    : request_(std::move(request)), calls_(calls), connections_(new Connections) {
  for (int i = 0; i < 2; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    connections_->stubs.push_back(v1::PredictionService::NewStub(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments)));
  }
}
LoadClient::~LoadClient() { delete connections_; }

Measurement LoadClient::RunFor(int concurrency, absl::Duration duration) {
  std::atomic<bool> stop{false};
  std::mutex mu;
  std::condition_variable ended;
  int running = concurrency;
  std::vector<std::unique_ptr<Caller>> callers;
  for (int i = 0; i < concurrency; ++i) {
    callers.push_back(
        std::make_unique<Caller>(*connections_->stubs[i % connections_->stubs.size()], request_));
    Caller& caller = *callers.back();
    caller.stop = &stop;
    caller.mu = &mu;
    caller.ended = &ended;
    caller.running = &running;
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
  stop = true;
  std::unique_lock lock(mu);
  ended.wait(lock, [&] { return running == 0; });
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
