#include "tests/end_to_end/api.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <future>
#include <type_traits>
#include <utility>

#include "calserve/v1/calibration.grpc.pb.h"
#include "calserve/v1/feedback.grpc.pb.h"
#include "calserve/v1/model.grpc.pb.h"
#include "calserve/v1/prediction.grpc.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/end_to_end/wire.h"

namespace calserve::e2e {
namespace {

CallStatus FromGrpc(const grpc::Status& status) {
  CallStatus out;
  out.code = static_cast<absl::StatusCode>(status.error_code());
  out.message = status.error_message();
  google::rpc::Status details;
  details.ParseFromString(status.error_details());
  for (const google::protobuf::Any& any : details.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest bad_request;
    google::rpc::RetryInfo retry;
    if (any.UnpackTo(&info)) {
      out.reason = info.reason();
      out.domain = info.domain();
    } else if (any.UnpackTo(&bad_request)) {
      for (const auto& violation : bad_request.field_violations()) out.fields.push_back(violation.field());
    } else if (any.UnpackTo(&retry)) {
      out.retry_after =
          absl::Seconds(retry.retry_delay().seconds()) + absl::Nanoseconds(retry.retry_delay().nanos());
    }
  }
  return out;
}

void SetTimeout(absl::Duration timeout, grpc::ClientContext* context) {
  context->set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout));
}

// A synchronous stream of the generated stubs.
template <typename Request, typename Response, typename Underlying>
class GrpcStream final : public Stream<Request, Response> {
 public:
  template <typename Open>
  GrpcStream(absl::Duration timeout, Open open) {
    SetTimeout(timeout, &context_);
    stream_ = open(&context_);
  }
  ~GrpcStream() override {
    if (finished_) return;
    context_.TryCancel();
    Response ignored;
    while (stream_->Read(&ignored)) {
    }
    stream_->Finish();
  }

  bool Write([[maybe_unused]] const Request& request) override {
    if constexpr (std::is_same_v<Request, NoRequest>) {
      return false;
    } else {
      return stream_->Write(request);
    }
  }
  void CloseWrites() override {
    if constexpr (!std::is_same_v<Request, NoRequest>) stream_->WritesDone();
  }
  bool Read(Response* response) override { return stream_->Read(response); }
  CallStatus Finish() override {
    finished_ = true;
    return FromGrpc(stream_->Finish());
  }
  void Cancel() override { context_.TryCancel(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<Underlying> stream_;
  bool finished_ = false;
};

// A stream of services that Debian ships no stubs for, one message after the other.
class RawStream {
 public:
  RawStream(grpc::GenericStub& stub, const std::string& method, absl::Duration timeout) {
    SetTimeout(timeout, &context_);
    call_ = stub.PrepareCall(&context_, method, &queue_);
    call_->StartCall(nullptr);
    Next();
  }
  ~RawStream() {
    context_.TryCancel();
    if (!finished_) Finish();
    queue_.Shutdown();
    void* tag;
    bool ok;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  bool Write(const std::string& message) {
    const grpc::Slice slice(message);
    call_->Write(grpc::ByteBuffer(&slice, 1), nullptr);
    return Next();
  }
  void CloseWrites() {
    call_->WritesDone(nullptr);
    Next();
  }
  bool Read(std::string* message) {
    grpc::ByteBuffer buffer;
    call_->Read(&buffer, nullptr);
    if (!Next()) return false;
    std::vector<grpc::Slice> slices;
    buffer.Dump(&slices);
    message->clear();
    for (const grpc::Slice& slice : slices) {
      message->append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
    return true;
  }
  CallStatus Finish() {
    finished_ = true;
    grpc::Status status;
    call_->Finish(&status, nullptr);
    Next();
    return FromGrpc(status);
  }
  void Cancel() { context_.TryCancel(); }

 private:
  // One operation at a time: the next event is its end.
  bool Next() {
    void* tag;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }

  grpc::CompletionQueue queue_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  bool finished_ = false;
};

class RawHealthWatch final : public HealthWatch {
 public:
  RawHealthWatch(grpc::GenericStub& stub, const std::string& method, const std::string& service,
                 absl::Duration timeout)
      : stream_(stub, method, timeout) {
    stream_.Write(wire::StringField(1, service));
    stream_.CloseWrites();
  }
  bool Write(const NoRequest&) override { return false; }
  void CloseWrites() override {}
  bool Read(Health* health) override {
    std::string message;
    if (!stream_.Read(&message)) return false;
    *health = static_cast<Health>(wire::Varint(message, 1));
    return true;
  }
  CallStatus Finish() override { return stream_.Finish(); }
  void Cancel() override { stream_.Cancel(); }

 private:
  RawStream stream_;
};

class PendingPredictImpl final : public Api::PendingPredict {
 public:
  PendingPredictImpl(v1::PredictionService::Stub& stub, const v1::PredictRequest& request,
                     absl::Duration timeout)
      : request_(request) {
    SetTimeout(timeout, &context_);
    stub.async()->Predict(&context_, &request_, &response_,
                          [this](const grpc::Status& status) { done_.set_value(status); });
  }
  ~PendingPredictImpl() override {
    if (answered_.valid()) {
      context_.TryCancel();
      answered_.wait();
    }
  }
  void Cancel() override { context_.TryCancel(); }
  Reply<v1::PredictResponse> Wait() override {
    const grpc::Status status = answered_.get();
    return {FromGrpc(status), response_};
  }

 private:
  grpc::ClientContext context_;
  const v1::PredictRequest request_;
  v1::PredictResponse response_;
  std::promise<grpc::Status> done_;
  std::future<grpc::Status> answered_ = done_.get_future();
};

}  // namespace

std::ostream& operator<<(std::ostream& out, const CallStatus& status) {
  out << absl::StatusCodeToString(status.code) << " " << status.reason << ": " << status.message;
  for (const std::string& field : status.fields) out << " [" << field << "]";
  return out;
}

struct Api::Stubs {
  explicit Stubs(std::shared_ptr<grpc::Channel> c)
      : channel(std::move(c)),
        prediction(channel),
        feedback(channel),
        calibration(channel),
        models(channel),
        generic(channel) {}

  std::shared_ptr<grpc::Channel> channel;
  v1::PredictionService::Stub prediction;
  v1::FeedbackService::Stub feedback;
  v1::CalibrationService::Stub calibration;
  v1::ModelService::Stub models;
  grpc::GenericStub generic;
};

namespace {

// Connected, where a server listens. The client of gRPC 1.51 reads errno after other calls than connect(),
// such as an allocation, and then takes a connection in progress for one that failed ("No such file or
// directory"): rarely, but a test would see UNAVAILABLE until the channel tries again.
std::shared_ptr<grpc::Channel> NewChannel(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);  // the window stays at 64 kB: little fits on the way
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  auto channel = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(5));
  return channel;
}

template <typename Stub, typename Request, typename Response>
Reply<Response> Call(Stub& stub,
                     grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                     const Request& request, absl::Duration timeout) {
  grpc::ClientContext context;
  SetTimeout(timeout, &context);
  Reply<Response> reply;
  reply.status = FromGrpc((stub.*method)(&context, request, &reply.response));
  return reply;
}

}  // namespace

Api::Api(const std::string& address, absl::Duration timeout)
    : timeout_(timeout), stubs_(std::make_unique<Stubs>(NewChannel(address))) {}
Api::~Api() = default;

Reply<v1::PredictResponse> Api::Predict(const v1::PredictRequest& request) const {
  return Predict(request, timeout_);
}
Reply<v1::PredictResponse> Api::Predict(const v1::PredictRequest& request, absl::Duration timeout) const {
  return Call(stubs_->prediction, &v1::PredictionService::Stub::Predict, request, timeout);
}
Reply<v1::SubmitFeedbackResponse> Api::SubmitFeedback(const v1::SubmitFeedbackRequest& request) const {
  return Call(stubs_->feedback, &v1::FeedbackService::Stub::SubmitFeedback, request, timeout_);
}
Reply<v1::ListCalibratorsResponse> Api::ListCalibrators(const v1::ListCalibratorsRequest& request) const {
  return Call(stubs_->calibration, &v1::CalibrationService::Stub::ListCalibrators, request, timeout_);
}
Reply<v1::ActivateCalibratorResponse> Api::Activate(const v1::ActivateCalibratorRequest& request) const {
  return Call(stubs_->calibration, &v1::CalibrationService::Stub::ActivateCalibrator, request, timeout_);
}
Reply<v1::RollbackCalibratorResponse> Api::Rollback(const v1::RollbackCalibratorRequest& request) const {
  return Call(stubs_->calibration, &v1::CalibrationService::Stub::RollbackCalibrator, request, timeout_);
}
Reply<v1::GetRefitStatusResponse> Api::RefitStatus(const v1::GetRefitStatusRequest& request) const {
  return Call(stubs_->calibration, &v1::CalibrationService::Stub::GetRefitStatus, request, timeout_);
}
Reply<v1::GetCalibrationReportResponse> Api::Report(const v1::GetCalibrationReportRequest& request) const {
  return Call(stubs_->calibration, &v1::CalibrationService::Stub::GetCalibrationReport, request, timeout_);
}
Reply<v1::ListSlicesResponse> Api::ListSlices(const v1::ListSlicesRequest& request) const {
  return Call(stubs_->calibration, &v1::CalibrationService::Stub::ListSlices, request, timeout_);
}
Reply<v1::ListAlarmsResponse> Api::ListAlarms() const {
  return Call(stubs_->calibration, &v1::CalibrationService::Stub::ListAlarms, v1::ListAlarmsRequest(),
              timeout_);
}
Reply<v1::ListModelsResponse> Api::ListModels() const {
  return Call(stubs_->models, &v1::ModelService::Stub::ListModels, v1::ListModelsRequest(), timeout_);
}
Reply<v1::GetModelResponse> Api::GetModel(const std::string& model) const {
  v1::GetModelRequest request;
  request.set_model(model);
  return Call(stubs_->models, &v1::ModelService::Stub::GetModel, request, timeout_);
}

std::unique_ptr<PredictionStream> Api::StreamPredict() const {
  using Underlying = grpc::ClientReaderWriter<v1::StreamPredictRequest, v1::StreamPredictResponse>;
  return std::make_unique<GrpcStream<v1::StreamPredictRequest, v1::StreamPredictResponse, Underlying>>(
      timeout_, [this](grpc::ClientContext* context) { return stubs_->prediction.StreamPredict(context); });
}
std::unique_ptr<FeedbackStream> Api::StreamFeedback() const {
  using Underlying = grpc::ClientReaderWriter<v1::StreamFeedbackRequest, v1::StreamFeedbackResponse>;
  return std::make_unique<GrpcStream<v1::StreamFeedbackRequest, v1::StreamFeedbackResponse, Underlying>>(
      timeout_, [this](grpc::ClientContext* context) { return stubs_->feedback.StreamFeedback(context); });
}
std::unique_ptr<FitStream> Api::FitCalibrator() const {
  using Underlying = grpc::ClientReaderWriter<v1::FitCalibratorRequest, v1::FitCalibratorResponse>;
  return std::make_unique<GrpcStream<v1::FitCalibratorRequest, v1::FitCalibratorResponse, Underlying>>(
      timeout_, [this](grpc::ClientContext* context) { return stubs_->calibration.FitCalibrator(context); });
}
std::unique_ptr<CalibrationWatch> Api::WatchCalibration(const v1::WatchCalibrationRequest& request) const {
  using Underlying = grpc::ClientReader<v1::WatchCalibrationResponse>;
  return std::make_unique<GrpcStream<NoRequest, v1::WatchCalibrationResponse, Underlying>>(
      timeout_,
      [&](grpc::ClientContext* context) { return stubs_->calibration.WatchCalibration(context, request); });
}

Reply<Health> Api::CheckHealth(const std::string& service) const {
  RawStream call(stubs_->generic, "/grpc.health.v1.Health/Check", timeout_);
  call.Write(wire::StringField(1, service));
  call.CloseWrites();
  std::string message;
  Reply<Health> reply;
  if (call.Read(&message)) reply.response = static_cast<Health>(wire::Varint(message, 1));
  reply.status = call.Finish();
  return reply;
}
std::unique_ptr<HealthWatch> Api::WatchHealth(const std::string& service) const {
  return std::make_unique<RawHealthWatch>(stubs_->generic, "/grpc.health.v1.Health/Watch", service, timeout_);
}
Reply<std::vector<std::string>> Api::ReflectServices() const {
  RawStream call(stubs_->generic, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", timeout_);
  constexpr int kListServices = 7, kListServicesResponse = 6, kService = 1, kName = 1;
  call.Write(wire::StringField(kListServices, ""));
  call.CloseWrites();
  std::string message;
  Reply<std::vector<std::string>> reply;
  if (call.Read(&message)) {
    for (const std::string& list : wire::Strings(message, kListServicesResponse)) {
      for (const std::string& service : wire::Strings(list, kService)) {
        for (std::string& name : wire::Strings(service, kName)) reply.response.push_back(std::move(name));
      }
    }
  }
  reply.status = call.Finish();
  return reply;
}

std::unique_ptr<Api::PendingPredict> Api::StartPredict(const v1::PredictRequest& request) const {
  return std::make_unique<PendingPredictImpl>(stubs_->prediction, request, timeout_);
}

}  // namespace calserve::e2e
