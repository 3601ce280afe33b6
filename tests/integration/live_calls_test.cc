// However a call ends, nothing of it stays: for every rpc of both services, the objects of calls under way
// are counted while it is held and gone after success, error, cancellation, deadline and shutdown.
#include "tests/integration/live_calls.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/integration/held_store.h"
#include "tests/integration/in_process_server.h"

namespace calserve::integration {
namespace {

class LiveCallsTest : public ::testing::TestWithParam<Rpc> {
 protected:
  void SetUp() override {
    options_.data_dir = data_dir_ / "data";
    options_.classes = kClasses;
    options_.around_store = [this](Store& store) {
      auto held = std::make_unique<HeldStore>(store);
      store_ = held.get();
      return held;
    };
    Start();
  }
  void TearDown() override {
    if (store_ != nullptr) store_->Release();
  }

  // With an active calibrator of version 1, and plain softmax before it.
  void Start() {
    server_ = std::make_unique<InProcessServer>(options_, clock_);
    stubs_ =
        std::make_unique<Stubs>(grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials()));
    LabelledLogits data;
    data.columns = kClasses;
    for (int i = 0; i < 100; ++i) {
      for (int k = 0; k < kClasses; ++k) data.logits.push_back(k == i % kClasses ? 5 : 0);
      data.labels.push_back(i % 3 == 0 ? (i + 1) % kClasses : i % kClasses);
    }
    std::atomic<bool> fitted{false};
    server_->registry().FitUploaded({"puppet", 1, kClasses}, CalibrationMethod::kTemperature, {.folds = 5},
                                    data, nullptr,
                                    [&](const absl::StatusOr<CalibratorVersion>& fit) { fitted = fit.ok(); });
    ASSERT_TRUE(Await([&] { return fitted.load(); }));
    ASSERT_TRUE(server_->registry().Activate("puppet", 1, 1, 0).ok());

    grpc::ClientContext context;
    v1::PredictRequest request;
    request.set_model("puppet");
    FillInput(request.add_inputs());
    v1::PredictResponse response;
    ASSERT_TRUE(stubs_->prediction->Predict(&context, request, &response).ok());
    ticket_ = response.predictions(0).ticket();
    ASSERT_TRUE(NothingIsLeft());
  }

  template <typename Condition>
  static bool Await(Condition condition) {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (absl::Now() < deadline) {
      if (condition()) return true;
      absl::SleepFor(absl::Milliseconds(1));
    }
    return false;
  }
  // The server lets go of a call a moment after the client has its status.
  bool NothingIsLeft() {
    return Await([&] { return server_->calls_under_way() == 0; });
  }
  void Hold() {
    server_->model().Hold();
    store_->Hold();
  }
  void Release() {
    server_->model().Release();
    store_->Release();
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
  Hold();
  grpc::ClientContext context;
  grpc::Status status;
  std::jthread caller([&] { status = Run(context); });
  if (GetParam().can_be_held) {
    EXPECT_TRUE(Await([&] { return server_->calls_under_way() == 1; }));
  }
  context.TryCancel();
  caller.join();
  if (GetParam().can_be_held) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  }
  Release();
  EXPECT_TRUE(NothingIsLeft()) << server_->calls_under_way();
}

TEST_P(LiveCallsTest, AfterTheDeadline) {
  Hold();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(GetParam().can_be_held ? 500 : -1000));
  grpc::Status status;
  std::jthread caller([&] { status = Run(context); });
  if (GetParam().can_be_held) {
    EXPECT_TRUE(Await([&] { return server_->calls_under_way() == 1; }));
  }
  caller.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED) << status.error_message();
  Release();
  EXPECT_TRUE(NothingIsLeft()) << server_->calls_under_way();
}

TEST_P(LiveCallsTest, AfterADrain) {
  Hold();
  std::jthread caller;
  if (GetParam().can_be_held) {
    caller = std::jthread([&] {
      const grpc::Status status = Run();
      EXPECT_EQ(status.error_code(), GetParam().drained) << status.error_message();
    });
    EXPECT_TRUE(Await([&] { return server_->calls_under_way() == 1; }));
  }
  std::jthread drain([&] { EXPECT_EQ(server_->Drain(), 0) << "calls cancelled"; });
  EXPECT_TRUE(Await([&] {  // The drain has begun: new calls go elsewhere.
    grpc::ClientContext context;
    v1::GetModelResponse response;
    return stubs_->models->GetModel(&context, {}, &response).error_code() == grpc::StatusCode::UNAVAILABLE;
  }));
  const grpc::Status late = Run();
  if (GetParam().can_be_held && GetParam().drained == grpc::StatusCode::OK) {  // The drain waits for it.
    EXPECT_EQ(late.error_code(), grpc::StatusCode::UNAVAILABLE) << late.error_message();
  } else {  // gRPC itself may be shutting down by now.
    EXPECT_THAT(late.error_code(), testing::AnyOf(grpc::StatusCode::UNAVAILABLE, grpc::StatusCode::CANCELLED))
        << late.error_message();
  }
  Release();
  drain.join();
  EXPECT_EQ(server_->calls_under_way(), 0);
}

INSTANTIATE_TEST_SUITE_P(CalserveV1, LiveCallsTest, ::testing::ValuesIn(CalserveRpcs()),
                         [](const auto& info) { return info.param.name; });
INSTANTIATE_TEST_SUITE_P(KserveV2, LiveCallsTest, ::testing::ValuesIn(KserveRpcs()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace calserve::integration
