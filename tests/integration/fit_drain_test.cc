// What a drain does to a FitCalibrator stream: it waits for a fit that runs, not for a client that is silent.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/time/clock.h"
#include "tests/end_to_end/api.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/integration/await.h"
#include "tests/integration/held_store.h"
#include "tests/integration/in_process_server.h"

namespace calserve::integration {
namespace {

class FitDrainTest : public ::testing::Test {
 protected:
  void Start(absl::Duration drain_timeout) {
    InProcessOptions options;
    options.data_dir = data_dir_ / "data";
    options.drain_timeout = drain_timeout;
    options.around_store = HeldStore::Around(store_);
    server_ = std::make_unique<InProcessServer>(options, clock_);
    api_ = std::make_unique<e2e::Api>(server_->address());
    fit_ = api_->FitCalibrator();
    ASSERT_TRUE(Await([&] { return server_->calls_under_way() == 1; }));
  }
  void Specify(bool stored) {
    v1::FitCalibratorRequest request;
    request.mutable_specification()->set_model("puppet");
    request.mutable_specification()->set_method(v1::CALIBRATION_METHOD_TEMPERATURE);
    if (stored) {
      request.mutable_specification()->mutable_stored();
    } else {
      request.mutable_specification()->mutable_uploaded();
    }
    ASSERT_TRUE(fit_->Write(request));
  }
  // A fit of stored labels, which cannot read them until the store is released; there are none.
  void StartHeldFit() {
    store_->Hold();
    Specify(/*stored=*/true);
    v1::FitCalibratorResponse response;
    ASSERT_TRUE(fit_->Read(&response)) << fit_->Finish();
    ASSERT_TRUE(response.has_progress());
  }
  e2e::CallStatus EndOfFit() {
    v1::FitCalibratorResponse response;
    while (fit_->Read(&response)) {
    }
    return fit_->Finish();
  }

  e2e::TempDir data_dir_;
  ManualClock clock_{absl::Now()};
  HeldStore* store_ = nullptr;  // of server_
  std::unique_ptr<InProcessServer> server_;
  std::unique_ptr<e2e::Api> api_;
  std::unique_ptr<e2e::FitStream> fit_;
};

TEST_F(FitDrainTest, AStreamWithoutASpecificationEndsAtOnce) {
  Start(absl::Minutes(5));
  EXPECT_EQ(server_->Drain(), 0);
  const e2e::CallStatus status = EndOfFit();
  EXPECT_EQ(status.code, absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(status.reason, "SHUTTING_DOWN");
}

TEST_F(FitDrainTest, AnUploadThatHasStoppedEndsAtOnce) {
  Start(absl::Minutes(5));
  Specify(/*stored=*/false);
  v1::FitCalibratorRequest part;
  v1::LabelledExample& example = *part.mutable_examples()->add_examples();
  for (int k = 0; k < 4; ++k) example.mutable_logits()->add_values(0);
  ASSERT_TRUE(fit_->Write(part));
  EXPECT_EQ(server_->Drain(), 0);
  const e2e::CallStatus status = EndOfFit();
  EXPECT_EQ(status.code, absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(status.reason, "SHUTTING_DOWN");
}

TEST_F(FitDrainTest, AFitThatRunsIsWaitedFor) {
  Start(absl::Minutes(5));
  StartHeldFit();
  std::jthread drain([&] { EXPECT_EQ(server_->Drain(), 0); });
  EXPECT_TRUE(Await([&] { return api_->GetModel("puppet").status.code == absl::StatusCode::kUnavailable; }));
  store_->Release();
  EXPECT_EQ(EndOfFit().code, absl::StatusCode::kFailedPrecondition) << "there is no label to fit to";
}

TEST_F(FitDrainTest, AFitThatRunsTooLongIsCancelledAtTheTimeout) {
  Start(absl::Milliseconds(20));
  StartHeldFit();
  std::jthread drain([&] { EXPECT_EQ(server_->Drain(), 1); });
  EXPECT_FALSE(EndOfFit().ok());
  store_->Release();
  drain.join();
  EXPECT_EQ(server_->calls_under_way(), 0);
}

}  // namespace
}  // namespace calserve::integration
