// KServe v2 with a model that does as told: deadlines, refusals, order and draining, which must not depend on
// timing.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "inference/grpc_service.grpc.pb.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/integration/await.h"
#include "tests/integration/in_process_server.h"
#include "tests/integration/puppet_requests.h"

namespace calserve::integration {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::StartsWith;

constexpr int kClasses = 4;

class KserveTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.data_dir = data_dir_ / "data";
    options_.classes = kClasses;
    options_.batching.max_batch_size = 2;
    options_.batching.max_queue_rows = 2;
    Start();
  }
  void Start() {
    server_.reset();
    server_ = std::make_unique<InProcessServer>(options_, clock_);
    stub_ = inference::GRPCInferenceService::NewStub(
        grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials()));
  }

  static inference::ModelInferRequest Request(float tag) {
    const float row[kClasses] = {tag};
    inference::ModelInferRequest request = PuppetInferRequest(row);
    request.set_id(std::to_string(static_cast<int>(tag)));
    return request;
  }
  grpc::Status Infer(const inference::ModelInferRequest& request,
                     absl::Duration deadline = absl::Seconds(60)) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + deadline));
    inference::ModelInferResponse response;
    return stub_->ModelInfer(&context, request, &response);
  }
  // Puts a request into the model and leaves it there until Release.
  std::future<grpc::Status> OccupyTheModel() {
    server_->model().Hold();
    auto pending = std::async(std::launch::async, [this] { return Infer(Request(-1)); });
    EXPECT_TRUE(server_->model().WaitUntilHolding());
    return pending;
  }
  bool AwaitQueuedRows(int64_t rows) {
    return Await([&] { return server_->batcher_counters().queued_rows == rows; });
  }
  inference::ModelStatistics Statistics() {
    grpc::ClientContext context;
    inference::ModelStatisticsResponse response;
    EXPECT_TRUE(stub_->ModelStatistics(&context, {}, &response).ok());
    return response.model_stats(0);
  }

  e2e::TempDir data_dir_;
  ManualClock clock_{absl::Now()};
  InProcessOptions options_;
  std::unique_ptr<InProcessServer> server_;
  std::unique_ptr<inference::GRPCInferenceService::Stub> stub_;
};

TEST_F(KserveTest, TheTimeoutParameterEndsTheWaitInTheQueue) {
  auto occupying = OccupyTheModel();
  inference::ModelInferRequest request = Request(7);
  (*request.mutable_parameters())["timeout"].set_int64_param(50'000);
  const grpc::Status status = Infer(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED) << status.error_message();
  EXPECT_THAT(status.error_message(), EndsWith("; the request's parameter 'timeout' is 50000 microseconds"));
  // By the server, and while the model is still busy: the place in the queue is free again.
  EXPECT_EQ(server_->batcher_counters().expired, 1);
  EXPECT_EQ(server_->batcher_counters().queued_rows, 0);
  server_->model().Release();
  EXPECT_TRUE(occupying.get().ok());
  EXPECT_THAT(server_->model().rows_run(), ElementsAre(-1));
}

TEST_F(KserveTest, ATimeoutLongerThanTheDeadlineDoesNotLengthenIt) {
  auto occupying = OccupyTheModel();
  inference::ModelInferRequest request = Request(7);
  (*request.mutable_parameters())["timeout"].set_uint64_param(3'600'000'000);
  EXPECT_EQ(Infer(request, absl::Milliseconds(50)).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(AwaitQueuedRows(0));
  server_->model().Release();
  EXPECT_TRUE(occupying.get().ok());
  EXPECT_THAT(server_->model().rows_run(), ElementsAre(-1));
}

TEST_F(KserveTest, AFullQueueIsResourceExhaustedWithTheTimeToRetry) {
  auto occupying = OccupyTheModel();
  auto first = std::async(std::launch::async, [this] { return Infer(Request(1)); });
  auto second = std::async(std::launch::async, [this] { return Infer(Request(2)); });
  ASSERT_TRUE(AwaitQueuedRows(2));
  const grpc::Status status = Infer(Request(3));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  google::rpc::RetryInfo retry;
  for (const auto& detail : details.details()) detail.UnpackTo(&retry);
  EXPECT_GT(retry.retry_delay().seconds() + retry.retry_delay().nanos(), 0);
  server_->model().Release();
  EXPECT_TRUE(occupying.get().ok() && first.get().ok() && second.get().ok());
  const inference::InferStatistics requests = Statistics().inference_stats();
  EXPECT_EQ(requests.success().count(), 3);
  EXPECT_EQ(requests.fail().count(), 1);
}

TEST_F(KserveTest, ThePriorityParameterDecidesWhoIsNext) {
  options_.batching.priority_levels = 2;
  options_.batching.max_queue_rows = 8;
  Start();
  const auto with_priority = [](float tag, int64_t priority) {
    inference::ModelInferRequest request = Request(tag);
    (*request.mutable_parameters())["priority"].set_int64_param(priority);
    return request;
  };
  auto occupying = OccupyTheModel();
  auto later = std::async(std::launch::async, [&] { return Infer(with_priority(2, 2)); });
  ASSERT_TRUE(AwaitQueuedRows(1));
  auto sooner = std::async(std::launch::async, [&] { return Infer(with_priority(1, 1)); });
  ASSERT_TRUE(AwaitQueuedRows(2));
  server_->model().Release();
  EXPECT_TRUE(occupying.get().ok() && later.get().ok() && sooner.get().ok());
  EXPECT_THAT(server_->model().rows_run(), ElementsAre(-1, 1, 2));

  const grpc::Status unknown = Infer(with_priority(3, 3));
  EXPECT_EQ(unknown.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << unknown.error_message();
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(unknown.error_details()));
  google::rpc::BadRequest bad;
  for (const auto& detail : details.details()) detail.UnpackTo(&bad);
  ASSERT_EQ(bad.field_violations_size(), 1);
  EXPECT_EQ(bad.field_violations(0).field(), "parameters.priority");
}

TEST_F(KserveTest, ACancelledCallLeavesTheQueue) {
  auto occupying = OccupyTheModel();
  grpc::ClientContext context;
  auto cancelled = std::async(std::launch::async, [&] {
    inference::ModelInferResponse response;
    return stub_->ModelInfer(&context, Request(7), &response);
  });
  ASSERT_TRUE(AwaitQueuedRows(1));
  context.TryCancel();
  EXPECT_EQ(cancelled.get().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(AwaitQueuedRows(0));
  server_->model().Release();
  EXPECT_TRUE(occupying.get().ok());
  EXPECT_EQ(server_->Drain(), 0) << "calls left";
}

TEST_F(KserveTest, AStreamKeepsTheOrderAlsoWhereALaterAnswerIsThereFirst) {
  server_->model().Hold();
  grpc::ClientContext context;
  const auto stream = stub_->ModelStreamInfer(&context);
  inference::ModelInferRequest bad = Request(2);
  bad.set_model_name("nope");
  ASSERT_TRUE(stream->Write(Request(1)));
  ASSERT_TRUE(stream->Write(bad));
  ASSERT_TRUE(stream->Write(Request(3)));
  ASSERT_TRUE(server_->model().WaitUntilHolding());
  // The third is read, and the second, between them, refused by now. The third may be in the same batch.
  ASSERT_TRUE(Await(
      [&] { return server_->model().rows_run().size() + server_->batcher_counters().queued_rows == 2; }));
  server_->model().Release();
  inference::ModelStreamInferResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.infer_response().id(), "1");
  EXPECT_EQ(response.error_message(), "");
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.infer_response().id(), "2");
  EXPECT_THAT(response.error_message(), StartsWith("NOT_FOUND: unknown model 'nope'"));
  EXPECT_EQ(response.infer_response().outputs_size(), 0);
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.infer_response().id(), "3");
  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(KserveTest, AStreamThatEndsWithAnErrorHasAnsweredWhatCameBeforeIt) {
  auto occupying = OccupyTheModel();
  grpc::ClientContext context;
  context.AddMetadata("triton_grpc_error", "true");
  const auto stream = stub_->ModelStreamInfer(&context);
  for (const int id : {1, 2, 3}) ASSERT_TRUE(stream->Write(Request(id)));  // Two may be queued.
  ASSERT_TRUE(Await([this] { return server_->batcher_counters().refused == 1; }));
  server_->model().Release();
  inference::ModelStreamInferResponse response;
  for (const char* id : {"1", "2"}) {
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.infer_response().id(), id);
    EXPECT_EQ(response.error_message(), "");
  }
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(occupying.get().ok());
}

TEST_F(KserveTest, AStreamSaysWhenToRetryWhatItRefuses) {
  auto occupying = OccupyTheModel();
  grpc::ClientContext context;
  const auto stream = stub_->ModelStreamInfer(&context);
  for (const int id : {1, 2, 3}) ASSERT_TRUE(stream->Write(Request(id)));  // Two may be queued.
  ASSERT_TRUE(Await([this] { return server_->batcher_counters().refused == 1; }));
  server_->model().Release();
  inference::ModelStreamInferResponse response;
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.error_message(), "");
  }
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_THAT(response.error_message(), StartsWith("RESOURCE_EXHAUSTED: "));
  EXPECT_GE(response.infer_response().parameters().at("retry_after_ms").int64_param(), 1);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_TRUE(occupying.get().ok());
}

TEST_F(KserveTest, ALongMessageIsCutBetweenCharacters) {
  for (const char* const first : {"", "a"}) {  // One of the two puts the limit into a character of two bytes.
    inference::ModelInferRequest request = Request(1);
    std::string name = first;
    for (int i = 0; i < 3000; ++i) name += "\u00fc";
    request.set_model_name(name);
    grpc::ClientContext context;
    const auto stream = stub_->ModelStreamInfer(&context);
    ASSERT_TRUE(stream->Write(request)) << stream->Finish().error_message();
    inference::ModelStreamInferResponse response;
    ASSERT_TRUE(stream->Read(&response)) << stream->Finish().error_message();
    EXPECT_THAT(response.error_message(), StartsWith("NOT_FOUND: unknown model"));
    stream->WritesDone();
    EXPECT_TRUE(stream->Finish().ok());
    const grpc::Status status = Infer(request);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND) << status.error_message();
    EXPECT_THAT(status.error_message(), StartsWith("unknown model"));
    google::rpc::Status details;
    EXPECT_TRUE(details.ParseFromString(status.error_details()));
    EXPECT_EQ(details.message(), status.error_message());
    (*request.mutable_parameters())["triton_" + name].set_bool_param(true);
    EXPECT_EQ(Infer(request).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
}

TEST_F(KserveTest, AStreamThatIsCancelledLeavesNothingBehind) {
  auto occupying = OccupyTheModel();
  {
    grpc::ClientContext context;
    const auto stream = stub_->ModelStreamInfer(&context);
    ASSERT_TRUE(stream->Write(Request(1)));
    ASSERT_TRUE(AwaitQueuedRows(1));
    context.TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  EXPECT_TRUE(AwaitQueuedRows(0));
  server_->model().Release();
  EXPECT_TRUE(occupying.get().ok());
  EXPECT_EQ(server_->Drain(), 0) << "calls left";
}

// An orchestrator must see at once that no work is wanted, and must not kill a server that finishes its own.
TEST_F(KserveTest, WhileTheServerDrainsItIsLiveAndNotReadyAndTakesNothingNew) {
  auto occupying = OccupyTheModel();
  const auto ready = [this] {
    grpc::ClientContext context;
    inference::ServerReadyResponse response;
    EXPECT_TRUE(stub_->ServerReady(&context, {}, &response).ok());
    return response.ready();
  };
  EXPECT_TRUE(ready());
  std::jthread drain([this] { EXPECT_EQ(server_->Drain(), 0) << "calls cancelled"; });
  EXPECT_TRUE(Await([&] { return !ready(); }));
  grpc::ClientContext model_context, live_context;
  inference::ModelReadyRequest model;
  model.set_name("puppet");
  inference::ModelReadyResponse model_ready;
  EXPECT_TRUE(stub_->ModelReady(&model_context, model, &model_ready).ok());
  EXPECT_FALSE(model_ready.ready());
  inference::ServerLiveResponse live;
  EXPECT_TRUE(stub_->ServerLive(&live_context, {}, &live).ok());
  EXPECT_TRUE(live.live());
  inference::ModelInferRequest unknown = Request(8);
  unknown.set_model_name("unknown");  // Refused before the queue, whether draining or not.
  EXPECT_TRUE(Await([&] { return Infer(unknown).error_code() == grpc::StatusCode::UNAVAILABLE; }));
  server_->model().Release();
  EXPECT_TRUE(occupying.get().ok());
}

}  // namespace
}  // namespace calserve::integration
