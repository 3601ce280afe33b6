#include "tests/benchmarks/load/open_loop.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <random>
#include <vector>

#include "absl/time/clock.h"
#include "tests/benchmarks/load/load_client.h"

namespace calserve::load {
namespace {

constexpr int kConnections = 4;

struct Call {
  grpc::ClientContext context;
  grpc::ByteBuffer answer;
  absl::Time sent;
};

// Its callers cost the cores which the server computes on as little as the closed loop's: bytes that are
// ready to be sent, and answers that are not parsed.
class OpenLoop {
 public:
  OpenLoop(const std::string& address, const v1::PredictRequest& request) {
    const grpc::Slice slice(request.SerializeAsString());
    request_ = grpc::ByteBuffer(&slice, 1);
    for (int i = 0; i < kConnections; ++i) {
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      stubs_.push_back(std::make_unique<grpc::GenericStub>(
          grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments)));
    }
  }

  OpenLoopResult Run(double per_second, absl::Duration duration) {
    std::mt19937 random(1);
    std::exponential_distribution<double> gap(per_second);
    const absl::Time begin = absl::Now();
    int64_t sent = 0;
    for (absl::Time next = begin; next < begin + duration; next += absl::Seconds(gap(random))) {
      absl::SleepFor(next - absl::Now());
      Send(*stubs_[static_cast<size_t>(sent++) % stubs_.size()]);
    }
    const absl::Duration sending = absl::Now() - begin;
    std::unique_lock lock(mu_);
    ended_.wait(lock, [&] { return under_way_ == 0; });
    std::sort(answered_.begin(), answered_.end());
    std::sort(refused_.begin(), refused_.end());
    OpenLoopResult result;
    result.offered_per_second = static_cast<double>(sent) / absl::ToDoubleSeconds(sending);
    result.answered_per_second =
        static_cast<double>(answered_.size()) / absl::ToDoubleSeconds(absl::Now() - begin);
    result.answered_p50 = Quantile(answered_, 0.5);
    result.answered_p99 = Quantile(answered_, 0.99);
    result.refused = static_cast<int64_t>(refused_.size());
    result.refused_p50 = Quantile(refused_, 0.5);
    result.refused_p99 = Quantile(refused_, 0.99);
    result.failed = failed_;
    return result;
  }

 private:
  void Send(grpc::GenericStub& stub) {
    {
      std::lock_guard lock(mu_);
      ++under_way_;
    }
    auto* const call = new Call;
    call->sent = absl::Now();
    stub.UnaryCall(&call->context, "/calserve.v1.PredictionService/Predict", grpc::StubOptions(), &request_,
                   &call->answer,
                   [this, call](const grpc::Status& status) { Done(call, status.error_code()); });
  }

  void Done(Call* call, grpc::StatusCode code) {
    const int64_t nanos = absl::ToInt64Nanoseconds(absl::Now() - call->sent);
    delete call;
    std::lock_guard lock(mu_);
    if (code == grpc::StatusCode::OK) {
      answered_.push_back(nanos);
    } else if (code == grpc::StatusCode::RESOURCE_EXHAUSTED) {
      refused_.push_back(nanos);
    } else {
      ++failed_;
    }
    if (--under_way_ == 0) ended_.notify_all();
  }

  grpc::ByteBuffer request_;
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs_;
  std::mutex mu_;
  std::condition_variable ended_;
  int64_t under_way_ = 0, failed_ = 0;
  std::vector<int64_t> answered_, refused_;  // nanoseconds
};

}  // namespace

OpenLoopResult RunOpenLoop(const std::string& address, const v1::PredictRequest& request, double per_second,
                           absl::Duration duration) {
  return OpenLoop(address, request).Run(per_second, duration);
}

}  // namespace calserve::load
