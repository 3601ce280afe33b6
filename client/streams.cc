// The two streams of Client: gRPC calls under a ResumingStream.

#include <grpcpp/support/sync_stream.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "calserve/v1/feedback.grpc.pb.h"
#include "calserve/v1/prediction.grpc.pb.h"
#include "client/client.h"
#include "client/connection.h"
#include "client/proto_convert.h"
#include "client/resuming_stream.h"

namespace calserve::client {
namespace {

// `Stub`'s method that opens the call.
template <typename Stub, typename Request, typename Response>
using OpenMethod =
    std::unique_ptr<grpc::ClientReaderWriter<Request, Response>> (Stub::*)(grpc::ClientContext*);

template <typename Stub, typename Request, typename Response>
class GrpcTransport final : public StreamTransport<Request, Response> {
 public:
  GrpcTransport(std::shared_ptr<Connection> connection, OpenMethod<Stub, Request, Response> open)
      : connection_(std::move(connection)), stub_(connection_->channel()), open_(open) {}

  void Start() override {
    connection_->AddToken(&context_);
    stream_ = (stub_.*open_)(&context_);
  }
  bool Write(const Request& request) override { return stream_->Write(request); }
  void WritesDone() override { stream_->WritesDone(); }
  bool Read(Response* response) override { return stream_->Read(response); }
  absl::Status Finish() override { return connection_->ToStatus(stream_->Finish()); }
  void Cancel() override { context_.TryCancel(); }

 private:
  const std::shared_ptr<Connection> connection_;
  Stub stub_;
  const OpenMethod<Stub, Request, Response> open_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<Request, Response>> stream_;
};

class GrpcPredictStream final : public PredictStream {
 public:
  GrpcPredictStream(const std::shared_ptr<Connection>& connection, const StreamLimits& limits,
                    OnAnswer on_answer)
      : connection_(connection),
        stream_(limits, connection->options().retry, MakeHooks(connection, std::move(on_answer))) {}

  absl::Status Send(int64_t sequence, const PredictRequest& request) override {
    v1::StreamPredictRequest message;
    *message.mutable_request() = ToProto(request);
    return stream_.Send(sequence, std::move(message));
  }
  absl::Status Finish() override { return connection_->Explain(stream_.Finish()); }

 private:
  using Stream = ResumingStream<v1::StreamPredictRequest, v1::StreamPredictResponse>;
  using Stub = v1::PredictionService::Stub;

  static absl::Status FailureOf(const v1::StreamPredictResponse& answer) {
    return answer.has_failure() ? FromProto(answer.failure()) : absl::OkStatus();
  }

  static Stream::Hooks MakeHooks(std::shared_ptr<Connection> connection, OnAnswer on_answer) {
    Stream::Hooks hooks;
    hooks.wait = [connection](absl::Duration time) { connection->Wait(time); };
    hooks.open = [connection = std::move(connection)] {
      return std::make_unique<GrpcTransport<Stub, v1::StreamPredictRequest, v1::StreamPredictResponse>>(
          connection, &Stub::StreamPredict);
    };
    hooks.failure_of = FailureOf;
    hooks.on_answer = [on_answer = std::move(on_answer)](int64_t sequence,
                                                         absl::StatusOr<v1::StreamPredictResponse> answer) {
      const absl::Status status = answer.ok() ? FailureOf(*answer) : answer.status();
      if (!status.ok()) return on_answer(sequence, status);
      on_answer(sequence, FromProto(std::move(*answer->mutable_response())));
    };
    hooks.random = RandomFraction;
    return hooks;
  }

  const std::shared_ptr<Connection> connection_;
  Stream stream_;
};

constexpr size_t kMaxFeedbackItems = 10'000;

class GrpcFeedbackStream final : public FeedbackStream {
 public:
  GrpcFeedbackStream(const std::shared_ptr<Connection>& connection, const StreamLimits& limits,
                     OnAnswer on_answer)
      : connection_(connection),
        stream_(limits, connection->options().retry, MakeHooks(connection, std::move(on_answer))) {}

  absl::Status Send(int64_t sequence, absl::Span<const Feedback> items, const std::string& source) override {
    // The server would end the whole stream.
    if (items.empty() || items.size() > kMaxFeedbackItems) {
      return absl::InvalidArgumentError(absl::StrCat("items of a batch of feedback must be 1 to ",
                                                     kMaxFeedbackItems, "; were ", items.size()));
    }
    v1::StreamFeedbackRequest message;
    for (const Feedback& item : items) *message.add_items() = ToProto(item);
    message.set_source(source);
    return stream_.Send(sequence, std::move(message));
  }
  absl::Status Finish() override { return connection_->Explain(stream_.Finish()); }

 private:
  using Stream = ResumingStream<v1::StreamFeedbackRequest, v1::StreamFeedbackResponse>;
  using Stub = v1::FeedbackService::Stub;

  static Stream::Hooks MakeHooks(std::shared_ptr<Connection> connection, OnAnswer on_answer) {
    Stream::Hooks hooks;
    hooks.wait = [connection](absl::Duration time) { connection->Wait(time); };
    hooks.open = [connection = std::move(connection)] {
      return std::make_unique<GrpcTransport<Stub, v1::StreamFeedbackRequest, v1::StreamFeedbackResponse>>(
          connection, &Stub::StreamFeedback);
    };
    hooks.failure_of = [](const v1::StreamFeedbackResponse&) { return absl::OkStatus(); };
    hooks.on_answer = [on_answer = std::move(on_answer)](int64_t sequence,
                                                         absl::StatusOr<v1::StreamFeedbackResponse> answer) {
      if (!answer.ok()) return on_answer(sequence, answer.status());
      std::vector<FeedbackResult> results;
      for (const v1::FeedbackResult& result : answer->results()) results.push_back(FromProto(result));
      on_answer(sequence, std::move(results));
    };
    hooks.random = RandomFraction;
    return hooks;
  }

  const std::shared_ptr<Connection> connection_;
  Stream stream_;
};

}  // namespace

std::unique_ptr<PredictStream> Client::OpenPredictStream(StreamLimits limits,
                                                         PredictStream::OnAnswer on_answer) const {
  return std::make_unique<GrpcPredictStream>(connection_, limits, std::move(on_answer));
}

std::unique_ptr<FeedbackStream> Client::OpenFeedbackStream(StreamLimits limits,
                                                           FeedbackStream::OnAnswer on_answer) const {
  return std::make_unique<GrpcFeedbackStream>(connection_, limits, std::move(on_answer));
}

}  // namespace calserve::client
