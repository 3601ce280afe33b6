// However a call ends, nothing of it stays: for every rpc of both services, the objects of calls under way
// are counted while it is held and gone after success, error, cancellation, deadline and shutdown.
#include "tests/integration/live_calls.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/integration/await.h"
#include "tests/integration/held_store.h"
#include "tests/integration/in_process_server.h"
#include "tests/unit/model/fake_versions.h"

namespace calserve::integration {
namespace {

// So that an rpc that is added to a .proto file is added here.
std::vector<std::string> MethodsOf(std::vector<const google::protobuf::FileDescriptor*> files) {
  std::vector<std::string> names;
  for (const google::protobuf::FileDescriptor* file : files) {
    for (int i = 0; i < file->service_count(); ++i) {
      for (int j = 0; j < file->service(i)->method_count(); ++j) {
        names.push_back(std::string(file->service(i)->method(j)->name()));
      }
    }
  }
  return names;
}
std::vector<std::string> NamesOf(const std::vector<Rpc>& rpcs) {
  std::vector<std::string> names;
  for (const Rpc& rpc : rpcs) names.push_back(rpc.name);
  return names;
}

TEST(LiveCallsTableTest, HasEveryRpcOfBothServices) {
  EXPECT_THAT(NamesOf(CalserveRpcs()),
              testing::UnorderedElementsAreArray(MethodsOf(
                  {v1::PredictRequest::descriptor()->file(), v1::SubmitFeedbackRequest::descriptor()->file(),
                   v1::FitCalibratorRequest::descriptor()->file(), v1::GetModelRequest::descriptor()->file(),
                   v1::GetLogLevelRequest::descriptor()->file()})));
  EXPECT_THAT(NamesOf(KserveRpcs()), testing::UnorderedElementsAreArray(
                                         MethodsOf({inference::ModelInferRequest::descriptor()->file()})));
}

class LiveCallsTest : public ::testing::TestWithParam<Rpc> {
 protected:
  void SetUp() override {
    options_.data_dir = data_dir_ / "data";
    options_.classes = kClasses;
    options_.around_store = HeldStore::Around(store_);
    versions_.Write("puppet", 1);
    std::promise<absl::Status> started;
    repository_ =
        ModelRepository::Start({.control = "explicit"}, versions_.Hooks(),
                               [&started](absl::Status status) { started.set_value(std::move(status)); });
    const absl::Status loaded = started.get_future().get();
    ASSERT_TRUE(loaded.ok()) << loaded;
    options_.repository = repository_.get();
    Start();
  }
  void TearDown() override {
    if (store_ != nullptr) store_->Release();
    versions_.HoldLoads(false);
  }

  // With an active calibrator of version 1, and plain softmax before it.
  void Start() {
    server_ = std::make_unique<InProcessServer>(options_, clock_);
    stubs_ =
        std::make_unique<Stubs>(grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials()));
    ASSERT_TRUE(server_->ActivateTemperature().ok());

    grpc::ClientContext context;
    v1::PredictRequest request;
    request.set_model("puppet");
    FillInput(request.add_inputs());
    v1::PredictResponse response;
    ASSERT_TRUE(stubs_->prediction->Predict(&context, request, &response).ok());
    ticket_ = response.predictions(0).ticket();
    ASSERT_TRUE(NothingIsLeft());
  }

  // The server lets go of a call a moment after the client has its status.
  bool NothingIsLeft() {
    return Await([&] { return server_->calls_under_way() == 0; });
  }
  void Hold() {
    server_->model().Hold();
    store_->Hold();
    versions_.HoldLoads(true);
    // An unload waits for its turn, behind a load.
    if (GetParam().name == "RepositoryModelUnload") repository_->Load("puppet", [](const absl::Status&) {});
  }
  void Release() {
    server_->model().Release();
    store_->Release();
    versions_.HoldLoads(false);
  }
  // Of a call that was ended while what it waits for is held.
  void ExpectDetached() {
    if (!GetParam().detaches) return;
    EXPECT_TRUE(NothingIsLeft()) << "it waits for what it began";
    EXPECT_EQ(versions_.Serving("puppet"), "");
    versions_.HoldLoads(false);
    const bool unload = GetParam().name == "RepositoryModelUnload";
    std::atomic<bool> done{false};  // One after the other: those before it are done as well.
    if (unload) {
      repository_->Unload("puppet", [&](const absl::Status&) { done = true; });
    } else {
      repository_->Load("puppet", [&](const absl::Status&) { done = true; });
    }
    EXPECT_TRUE(Await([&] { return done.load(); }));
    EXPECT_EQ(versions_.Serving("puppet"), unload ? "" : "1a") << "what it began goes on";
  }
  grpc::Status Run(grpc::ClientContext& context, Kind kind = Kind::kGood) {
    Call call{*stubs_, context, kind, ticket_};
    return GetParam().run(call);
  }
  grpc::Status Run(Kind kind = Kind::kGood) {
    grpc::ClientContext context;
    return Run(context, kind);
  }

  e2e::TempDir data_dir_;
  ManualClock clock_{absl::Now()};
  InProcessOptions options_;
  HeldStore* store_ = nullptr;  // of server_
  FakeVersions versions_;
  std::unique_ptr<ModelRepository> repository_;  // of versions_
  std::unique_ptr<InProcessServer> server_;
  std::unique_ptr<Stubs> stubs_;
  std::string ticket_;
};

TEST_P(LiveCallsTest, AfterSuccess) {
  const bool watch = GetParam().name == "WatchCalibration";
  grpc::ClientContext context;
  Call call{*stubs_, context, Kind::kGood, ticket_};
  const grpc::Status status = watch ? WatchOneReport(call) : GetParam().run(call);
  EXPECT_EQ(status.error_code(), GetParam().good) << status.error_message();
  EXPECT_TRUE(NothingIsLeft()) << server_->calls_under_way();
}

TEST_P(LiveCallsTest, AfterAnError) {
  const grpc::Status status = Run(Kind::kBad);
  EXPECT_EQ(status.error_code(), GetParam().bad) << status.error_message();
  EXPECT_TRUE(NothingIsLeft()) << server_->calls_under_way();
}

TEST_P(LiveCallsTest, AfterTheClientHasCancelled) {
  if (!GetParam().can_be_held) GTEST_SKIP() << "see AfterACancellationOrDeadlineThatMeetsItAnywhere";
  Hold();
  grpc::ClientContext context;
  grpc::Status status;
  std::jthread caller([&] { status = Run(context); });
  EXPECT_TRUE(Await([&] { return server_->calls_under_way() == 1; }));
  context.TryCancel();
  caller.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  ExpectDetached();
  Release();
  EXPECT_TRUE(NothingIsLeft()) << server_->calls_under_way();
}

TEST_P(LiveCallsTest, AfterTheDeadline) {
  if (!GetParam().can_be_held) GTEST_SKIP() << "see AfterACancellationOrDeadlineThatMeetsItAnywhere";
  Hold();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(500));
  grpc::Status status;
  std::jthread caller([&] { status = Run(context); });
  EXPECT_TRUE(Await([&] { return server_->calls_under_way() == 1; }));
  caller.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED) << status.error_message();
  ExpectDetached();
  Release();
  EXPECT_TRUE(NothingIsLeft()) << server_->calls_under_way();
}

// What nothing holds is answered within the handler: no one can say where a deadline or a cancellation meets
// it. So they come ever later, before the call is sent, on its way and after its answer; gRPC's timers have
// steps of about a millisecond, so that many an answer is sooner. Only the first deadline, which has passed,
// is certain.
TEST_P(LiveCallsTest, AfterACancellationOrDeadlineThatMeetsItAnywhere) {
  if (GetParam().can_be_held) GTEST_SKIP() << "it is held, and ended while it is";
  using enum grpc::StatusCode;
  grpc::ClientContext passed;
  passed.set_deadline(std::chrono::system_clock::now() - std::chrono::seconds(1));
  EXPECT_EQ(Run(passed).error_code(), DEADLINE_EXCEEDED);
  for (int i = 0; i < 200; ++i) {
    const std::chrono::microseconds after(10 * i);
    grpc::ClientContext with_deadline;
    with_deadline.set_deadline(std::chrono::system_clock::now() + after);
    const grpc::Status late = Run(with_deadline);
    EXPECT_THAT(late.error_code(), testing::AnyOf(GetParam().good, DEADLINE_EXCEEDED))
        << late.error_message();

    grpc::ClientContext cancelled;
    std::jthread canceller([&] {
      std::this_thread::sleep_for(after);
      cancelled.TryCancel();
    });
    const grpc::Status gone = Run(cancelled);
    EXPECT_THAT(gone.error_code(), testing::AnyOf(GetParam().good, CANCELLED)) << gone.error_message();
  }
  EXPECT_TRUE(NothingIsLeft()) << server_->calls_under_way();
  EXPECT_EQ(Run().error_code(), GetParam().good) << "it answers as ever";
}

TEST_P(LiveCallsTest, AfterADrain) {
  Hold();
  std::jthread held([&] {  // The drain waits for this one.
    grpc::ClientContext context;
    v1::PredictRequest request;
    request.set_model("puppet");
    FillInput(request.add_inputs());
    v1::PredictResponse response;
    const grpc::Status status = stubs_->prediction->Predict(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  });
  EXPECT_TRUE(Await([&] { return server_->calls_under_way() == 1; }));
  std::jthread caller;
  if (GetParam().can_be_held) {
    caller = std::jthread([&] {
      const grpc::Status status = Run();
      EXPECT_EQ(status.error_code(), GetParam().drained) << status.error_message();
    });
    EXPECT_TRUE(Await([&] { return server_->calls_under_way() == 2; }));
  }
  std::jthread drain([&] { EXPECT_EQ(server_->Drain(), 0) << "calls cancelled"; });
  EXPECT_TRUE(Await([&] {  // The drain has begun: new calls go elsewhere.
    grpc::ClientContext context;
    v1::GetModelResponse response;
    return stubs_->models->GetModel(&context, {}, &response).error_code() == grpc::StatusCode::UNAVAILABLE;
  }));
  const grpc::Status late = Run();
  EXPECT_EQ(late.error_code(), GetParam().in_a_drain ? GetParam().good : grpc::StatusCode::UNAVAILABLE)
      << late.error_message();
  Release();
  drain.join();
  EXPECT_EQ(server_->calls_under_way(), 0);
}

// Those that are queued for the model. A drain that they leave no time for cancels them, and the server lets
// go of what is queued while the model still computes.
class ShortDrainTest : public LiveCallsTest {
 protected:
  ShortDrainTest() { options_.drain_timeout = absl::Milliseconds(50); }
};

TEST_P(ShortDrainTest, ACallThatIsQueuedForTheModelIsLetGoOf) {
  Hold();
  const size_t before = server_->model().rows_run().size();
  const size_t rows = 2 * (absl::StrContains(GetParam().name, "Stream") ? 3 : 1);  // of both calls
  grpc::Status ends[2];
  std::jthread running([&] { ends[0] = Run(); });
  EXPECT_TRUE(server_->model().WaitUntilHolding());
  std::jthread queued([&] { ends[1] = Run(); });
  EXPECT_TRUE(Await([&] {
    return server_->model().rows_run().size() - before + server_->batcher_counters().queued_rows == rows;
  }));
  int64_t cancelled = 0;
  std::jthread drain([&] { cancelled = server_->Drain(); });
  running.join();
  queued.join();
  EXPECT_TRUE(Await([&] { return server_->calls_under_way() == 1; })) << "the model still has one";
  Release();
  drain.join();
  EXPECT_EQ(cancelled, 2);
  EXPECT_EQ(server_->calls_under_way(), 0);
  for (const grpc::Status& end : ends)
    EXPECT_THAT(end.error_code(), testing::AnyOf(grpc::StatusCode::CANCELLED, grpc::StatusCode::UNAVAILABLE))
        << end.error_message();
}

INSTANTIATE_TEST_SUITE_P(CalserveV1, LiveCallsTest, ::testing::ValuesIn(CalserveRpcs()),
                         [](const auto& info) { return info.param.name; });
INSTANTIATE_TEST_SUITE_P(KserveV2, LiveCallsTest, ::testing::ValuesIn(KserveRpcs()),
                         [](const auto& info) { return info.param.name; });

std::vector<Rpc> RpcsThatPredict() {
  std::vector<Rpc> rpcs = CalserveRpcs();
  for (Rpc& rpc : KserveRpcs()) rpcs.push_back(std::move(rpc));
  const std::set<std::string> predict = {"Predict", "StreamPredict", "ModelInfer", "ModelStreamInfer"};
  std::erase_if(rpcs, [&predict](const Rpc& rpc) { return !predict.contains(rpc.name); });
  return rpcs;
}

INSTANTIATE_TEST_SUITE_P(Predict, ShortDrainTest, ::testing::ValuesIn(RpcsThatPredict()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace calserve::integration
