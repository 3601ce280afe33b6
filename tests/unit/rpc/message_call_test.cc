#include "server/rpc/message_call.h"

#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "calserve/v1/prediction.grpc.pb.h"
#include "server/base/gathered_answers.h"
#include "server/rpc/call_log.h"
#include "tests/unit/prediction/predictor_fixture.h"
#include "tests/unit/rpc/loopback_server.h"

namespace calserve {
namespace {

// Answers with the model's name, and keeps the calls that ask for "held" until it is told.
class Echo final
    : public v1::PredictionService::WithRawCallbackMethod_Predict<v1::PredictionService::Service> {
 public:
  using Call = MessageCall<v1::PredictRequest, v1::PredictResponse>;

  explicit Echo(Predictor& predictor) : log_(predictor), gate_(nullptr, nullptr, log_, false) {}

  grpc::ServerUnaryReactor* Predict(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                    grpc::ByteBuffer* response) override {
    auto* const call = new Call(calls_, gate_.Open(*context, method::kPredict), response);
    if (!call->Read(request)) return call;
    if (call->request().model() == "held") {
      held_.set_value(call);
    } else {
      Answer(call);
    }
    return call;
  }
  // As one of an instance's threads does.
  void AnswerHeld() {
    std::jthread([call = held_.get_future().get()] { Answer(call); }).join();
  }
  // The same with others of a batch, whose answers take until `given`.
  void AnswerHeldInABatch(const std::function<void()>& given) {
    std::jthread([&, call = held_.get_future().get()] {
      const GatheredAnswers together(/*most=*/2);
      Answer(call);
      given();
    }).join();
  }
  CallTracker& calls() { return calls_; }

 private:
  static void Answer(Call* call) {
    const auto before = call->arena().SpaceAllocated();
    v1::PredictResponse& answer = call->response();
    answer.set_model(call->request().model());
    v1::Prediction& prediction = *answer.add_predictions();
    prediction.set_ticket(std::string(200, 't'));
    for (int i = 0; i < 5; ++i) prediction.add_top_classes()->set_label("Ankle boot");
    answer.set_model_version(static_cast<int64_t>(call->arena().SpaceAllocated() - before));
    call->Reply(absl::OkStatus());
  }

  CallTracker calls_;
  CallLog log_;
  const AccessGate gate_;
  std::promise<Call*> held_;
};

class MessageCallTest : public PredictorFixture {
 protected:
  void SetUp() override {
    Publish();
    service_ = std::make_unique<Echo>(*predictor_);
    server_ = std::make_unique<LoopbackServer>(*service_);
    stub_ = v1::PredictionService::NewStub(server_->NewChannel());
  }
  static v1::PredictRequest Request(const std::string& model, int inputs = 1) {
    v1::PredictRequest request;
    request.set_model(model);
    for (int i = 0; i < inputs; ++i) {
      v1::Tensor& tensor = *request.add_inputs()->mutable_tensor();
      for (const int dimension : {1, 28, 28}) tensor.add_shape(dimension);
      tensor.set_data(std::string(3136, 'x'));
    }
    return request;
  }
  v1::PredictResponse Ask(const v1::PredictRequest& request) {
    grpc::ClientContext context;
    v1::PredictResponse response;
    const grpc::Status status = stub_->Predict(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  std::unique_ptr<Echo> service_;
  std::unique_ptr<LoopbackServer> server_;
  std::unique_ptr<v1::PredictionService::Stub> stub_;
};

TEST_F(MessageCallTest, TheAnswerToAnOrdinaryRequestNeedsNoOtherMemory) {
  const v1::PredictResponse response = Ask(Request("fashion_mnist"));
  EXPECT_EQ(response.model(), "fashion_mnist");
  EXPECT_EQ(response.predictions(0).top_classes_size(), 5);
  EXPECT_EQ(response.model_version(), 0) << "bytes that the arena took for the answer";
}

TEST_F(MessageCallTest, ALargeRequestFindsMoreMemory) {
  EXPECT_EQ(Ask(Request("fashion_mnist", /*inputs=*/1000)).model(), "fashion_mnist");
}

TEST_F(MessageCallTest, AnotherThreadMayAnswerWhileOtherCallsComeAndGo) {
  std::future<v1::PredictResponse> held =
      std::async(std::launch::async, [this] { return Ask(Request("held")); });
  while (service_->calls().under_way() == 0) std::this_thread::yield();
  EXPECT_EQ(Ask(Request("other")).model(), "other");
  service_->AnswerHeld();
  EXPECT_EQ(held.get().model(), "held");
}

TEST_F(MessageCallTest, OfABatchItIsAnsweredOnceAllAre) {
  std::future<v1::PredictResponse> held =
      std::async(std::launch::async, [this] { return Ask(Request("held")); });
  service_->AnswerHeldInABatch([&] {
    EXPECT_EQ(held.wait_for(std::chrono::milliseconds(100)), std::future_status::timeout);
    EXPECT_EQ(service_->calls().under_way(), 1);
  });
  EXPECT_EQ(held.get().model(), "held");
}

TEST_F(MessageCallTest, OfABatchItMayBeGoneBeforeItIsAnswered) {
  grpc::ClientContext context;
  std::future<grpc::StatusCode> held = std::async(std::launch::async, [&] {
    v1::PredictResponse response;
    return stub_->Predict(&context, Request("held"), &response).error_code();
  });
  service_->AnswerHeldInABatch([&] {
    context.TryCancel();
    EXPECT_EQ(held.get(), grpc::StatusCode::CANCELLED);
  });
  EXPECT_EQ(service_->calls().WaitUntilIdle(absl::Seconds(10)), 0);
}

// What was allocated is freed (AddressSanitizer sees to it).
TEST_F(MessageCallTest, BytesThatAreNoRequestAreAnErrorWithAReason) {
  grpc::GenericStub stub(server_->NewChannel());
  grpc::ClientContext context;
  const grpc::Slice bytes("\xff\xff");
  const grpc::ByteBuffer request(&bytes, 1);
  grpc::ByteBuffer response;
  std::promise<grpc::Status> ended;
  stub.UnaryCall(&context, "/calserve.v1.PredictionService/Predict", grpc::StubOptions(), &request, &response,
                 [&](grpc::Status answer) { ended.set_value(std::move(answer)); });
  const grpc::Status status = ended.get_future().get();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), ::testing::HasSubstr("calserve.v1.PredictRequest"));
  EXPECT_THAT(status.error_details(), ::testing::HasSubstr("MESSAGE_UNREADABLE"));
}

TEST_F(MessageCallTest, DuringADrainARequestIsNotEvenRead) {
  service_->calls().StartDrain();
  grpc::ClientContext context;
  v1::PredictResponse response;
  EXPECT_EQ(stub_->Predict(&context, Request("fashion_mnist"), &response).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace calserve
