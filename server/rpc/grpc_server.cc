#include "server/rpc/grpc_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/server_builder_option.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/base/byte_budget.h"
#include "server/rpc/access_gate.h"
#include "server/rpc/bounded_inflation.h"
#include "server/rpc/calibration_service.h"
#include "server/rpc/call_log.h"
#include "server/rpc/call_tracker.h"
#include "server/rpc/feedback_service.h"
#include "server/rpc/kserve_describe.h"
#include "server/rpc/kserve_service.h"
#include "server/rpc/model_service.h"
#include "server/rpc/prediction_service.h"
#include "server/rpc/server_service.h"
#include "server/rpc/tensors_in_place.h"
#include "server/rpc/tls_credentials.h"

namespace calserve {
namespace {

constexpr absl::Duration kRefusing = absl::Milliseconds(100);
// For refusals that are still on their way to their clients when the last call has ended. A health watch,
// which never ends by itself, makes a drain as long.
constexpr int kLastAnswers = 1000;  // ms
// For a cancelled call to end: work looks at the cancellation every few seconds at the latest. Within what an
// orchestrator waits beyond lame duck and drain (10 s in deploy/).
constexpr absl::Duration kAfterCancel = absl::Seconds(4);

// What gRPC may take beside messages that are on their way or stay in its slices: connections and calls.
// Beyond all it ends calls and connections, of any client, until it has enough: no handler sees a message
// before it is whole, so that nothing else knows whose it is.
constexpr int64_t kBesideMessages = 256 << 20;

constexpr const char* kServices[] = {"calserve.v1.PredictionService",  "calserve.v1.FeedbackService",
                                     "calserve.v1.CalibrationService", "calserve.v1.ModelService",
                                     "calserve.v1.ServerService",      "inference.GRPCInferenceService"};

// The library adds its plugin to every server of a process that links it.
class WithoutReflection final : public grpc::ServerBuilderOption {
 public:
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    std::erase_if(*plugins, [](const auto& plugin) {
      return dynamic_cast<grpc::reflection::ProtoServerReflectionPlugin*>(plugin.get()) != nullptr;
    });
  }
};

class GrpcServerImpl final : public GrpcServer {
 public:
  GrpcServerImpl(const GrpcOptions& options, const GrpcBackends& b)
      : options_(options),
        client_certificates_(b.tls != nullptr && !b.tls->Current()->client_ca.empty()),
        reflection_(options.reflection == "on" ||
                    (options.reflection == "auto" && (b.access == nullptr || !b.access->enabled()))),
        labelled_sets_(2 * b.limits.fit_max_bytes),
        log_(b.predictor),
        gate_(b.access, b.audit, log_, client_certificates_),
        prediction_(gate_, b.predictor, calls_),
        feedback_(gate_, b.ingestor, calls_),
        calibration_({gate_, b.predictor, b.table, b.registry, b.monitor, b.hub, calls_, b.limits,
                      labelled_sets_, b.refits}),
        models_(gate_, b.table, b.registry, b.repository, calls_),
        server_service_(gate_, calls_),
        kserve_({gate_, b.predictor, b.table, b.monitor, kserve::EceWindow(b.windows), b.repository, calls_,
                 ready_}),
        credentials_(b.tls == nullptr ? grpc::InsecureServerCredentials()
                                      : std::make_shared<TlsCredentials>(*b.tls, client_certificates_)) {}

  ~GrpcServerImpl() override {
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
  }

  absl::Status Listen() {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    if (!reflection_) builder.SetOption(std::make_unique<WithoutReflection>());
    builder.AddListeningPort(options_.listen, credentials_, &port_);
    // Two servers on one port would share its calls: refuse the second instead.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options_.max_concurrent_streams);
    SetLifeOfConnections(builder);
    // What every call would pay for and nobody asks for: statistics that no service here shows, and the
    // filter that compresses answers. Compressed requests are read all the same, as far as they may be large.
    builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 0);
    builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0);
    builder.SetMaxReceiveMessageSize(options_.max_message_bytes);
    LimitInflation(static_cast<size_t>(options_.max_message_bytes));
    builder.SetMaxSendMessageSize(-1);
    ReceivedBytes().SetLimit(options_.max_received_bytes);
    grpc::ResourceQuota quota("calserve");
    BytesInPlace().SetLimit(options_.max_received_bytes / 4);
    quota.Resize(static_cast<size_t>(options_.max_received_bytes + BytesInPlace().limit() + kBesideMessages));
    builder.SetResourceQuota(quota);
    UnsentBytes().SetLimit(options_.max_unsent_bytes);
    builder.RegisterService(&prediction_);
    builder.RegisterService(&feedback_);
    builder.RegisterService(&calibration_);
    builder.RegisterService(&models_);
    builder.RegisterService(&server_service_);
    builder.RegisterService(&kserve_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port_ == 0) {
      server_.reset();
      return absl::UnavailableError(
          absl::StrCat("cannot listen on ", options_.listen,
                       ": the port is taken, or the address is not one of this machine"));
    }
    for (const char* service : kServices) server_->GetHealthCheckService()->SetServingStatus(service, true);
    return absl::OkStatus();
  }

  void SetLifeOfConnections(grpc::ServerBuilder& builder) const {
    const auto set = [&builder](const char* argument, absl::Duration value) {
      builder.AddChannelArgument(argument, static_cast<int>(absl::ToInt64Milliseconds(value)));
    };
    set(GRPC_ARG_KEEPALIVE_TIME_MS, options_.keepalive_time);
    set(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, options_.keepalive_timeout);
    set(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, options_.min_ping_interval);
    // Clients may ask, and are asked, also while no call runs, and for as long as they are silent.
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    if (options_.max_connection_age == absl::ZeroDuration()) return;
    set(GRPC_ARG_MAX_CONNECTION_AGE_MS, options_.max_connection_age);
    if (options_.max_connection_age_grace == absl::ZeroDuration()) return;
    set(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, options_.max_connection_age_grace);
  }

  std::string address() const override {
    return absl::StrCat(options_.listen.substr(0, options_.listen.rfind(':')), ":", port_);
  }

  int64_t calls_under_way() const override { return calls_.under_way(); }

  void SetNotReady() override {
    ready_ = false;
    server_->GetHealthCheckService()->SetServingStatus(false);
  }

  Drained Drain() override {
    ready_ = false;
    server_->GetHealthCheckService()->Shutdown();  // Check and Watch say NOT_SERVING from here on.
    absl::SleepFor(options_.lame_duck);
    calls_.StartDrain();
    const int64_t cancelled = calls_.WaitUntilIdle(options_.drain_timeout);
    // A call that comes now is told UNAVAILABLE, which clients retry elsewhere; gRPC would tell it CANCELLED.
    if (cancelled == 0) absl::SleepFor(kRefusing);
    // What is left is cancelled by the deadline; health watches never end by themselves. gRPC waits until
    // every call has ended, whatever keeps it.
    const auto deadline =
        std::chrono::system_clock::now() + std::chrono::milliseconds(cancelled == 0 ? kLastAnswers : 0);
    std::thread shutdown([this, deadline] {
      server_->Shutdown(deadline);
      server_->Wait();
    });
    if (const int64_t stuck = cancelled == 0 ? 0 : calls_.WaitUntilIdle(kAfterCancel); stuck > 0) {
      shutdown.detach();
      return {cancelled, stuck};
    }
    shutdown.join();
    server_.reset();
    return {cancelled, 0};
  }

 private:
  const GrpcOptions options_;
  const bool client_certificates_, reflection_;
  ByteBudget labelled_sets_;
  CallLog log_;
  const AccessGate gate_;
  std::atomic<bool> ready_{true};  // false from SetNotReady or the beginning of the drain
  CallTracker calls_;
  PredictionService prediction_;
  FeedbackService feedback_;
  CalibrationService calibration_;
  ModelService models_;
  ServerService server_service_;
  KserveService kserve_;
  const std::shared_ptr<grpc::ServerCredentials> credentials_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;  // Last: stopped before the services go.
};

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const GrpcOptions& options,
                                                              GrpcBackends backends) {
  auto server = std::make_unique<GrpcServerImpl>(options, backends);
  if (absl::Status status = server->Listen(); !status.ok()) return status;
  return std::unique_ptr<GrpcServer>(std::move(server));
}

}  // namespace calserve
