#include "server/recalibration/refit_observer.h"

#include <functional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/feedback/forwarding_store.h"
#include "tests/unit/feedback/memory_store.h"
#include "tests/unit/recalibration/recalibration_testing.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;
using Kind = RefitAttempt::Kind;
using Outcome = RefitAttempt::Outcome;

// Runs something once, just after attempts were first listed.
class InterruptedStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  absl::StatusOr<std::vector<RefitAttempt>> ListRefitAttempts(const std::string& model, int64_t model_version,
                                                              std::optional<int64_t> incumbent,
                                                              int64_t limit) override {
    auto listed = ForwardingStore::ListRefitAttempts(model, model_version, incumbent, limit);
    if (after_list) std::exchange(after_list, nullptr)();
    return listed;
  }
  std::function<void()> after_list;
};

class RefitObserverTest : public ::testing::Test {
 protected:
  RefitObserverTest() {
    policy_.on = RefitPolicy::On::kAlarm;
    registry_ = *CalibratorRegistry::Create({}, store_, clock_, [](const CalibratorVersion&) {});
    EXPECT_TRUE(registry_->AddModelVersion(kTarget, "").ok());
    monitor_ = *CalibrationMonitor::Create(
        {.windows = {"last_1000"}}, store_, clock_,
        [](const std::string&, int64_t, int64_t) { return std::shared_ptr<const Calibrator>(); });
  }
  RefitAttempt Judging() {
    RefitAttempt attempt;
    attempt.model = kTarget.model;
    attempt.model_version = kTarget.model_version;
    attempt.attempt = 1;
    attempt.candidate = 7;
    attempt.time = kStart;
    return attempt;
  }
  absl::StatusOr<RefitLook> Look(bool under_way = false) {
    const RefitObserver observer(*registry_, *monitor_, store_, clock_,
                                 [](const MonitorKey&) { return LabelSelection::kNoDifference; });
    return observer.Look(kTarget, policy_, [=] { return under_way; });
  }
  Outcome StoredOutcome() {
    return memory_.ListRefitAttempts(kTarget.model, kTarget.model_version, 0, 1)->front().outcome;
  }

  ManualClock clock_{kStart};
  MemoryStore memory_;
  InterruptedStore store_{memory_};
  RefitPolicy policy_;
  std::unique_ptr<CalibratorRegistry> registry_;
  std::unique_ptr<CalibrationMonitor> monitor_;
};

TEST_F(RefitObserverTest, WithoutAnAlarmThereIsNothingToDo) {
  const absl::StatusOr<RefitLook> look = Look();
  ASSERT_TRUE(look.ok()) << look.status();
  EXPECT_EQ(look->incumbent, 0);
  EXPECT_EQ(look->log_end, 0);
  EXPECT_EQ(look->step.state, RefitState::kWaiting);
  EXPECT_EQ(Explain(*look, 0, ""), "no alarm is raised");
  policy_.on = RefitPolicy::On::kNever;
  EXPECT_EQ(Look()->step.state, RefitState::kOff);
}

TEST_F(RefitObserverTest, AnAttemptThatAServerLeftUnfinishedIsConcluded) {
  ASSERT_TRUE(store_.SaveRefitAttempt(Judging()).ok());
  ASSERT_TRUE(Look(/*under_way=*/true).ok());
  EXPECT_EQ(StoredOutcome(), Outcome::kJudging) << "it is still judged";
  ASSERT_TRUE(Look().ok());
  EXPECT_EQ(StoredOutcome(), Outcome::kInterrupted);
}

TEST_F(RefitObserverTest, OneThatEndsWhileItIsLookedAtStaysAsItEnded) {
  ASSERT_TRUE(store_.SaveRefitAttempt(Judging()).ok());
  store_.after_list = [this] {
    RefitAttempt ended = Judging();
    ended.outcome = Outcome::kKept;
    ASSERT_TRUE(memory_.SaveRefitAttempt(ended).ok());
  };
  ASSERT_TRUE(Look().ok());
  EXPECT_EQ(StoredOutcome(), Outcome::kKept);
}

TEST_F(RefitObserverTest, WhatIsGatheredForIsSaidWithWhyTheLastFitFailed) {
  RefitLook look;
  look.step.state = RefitState::kGathering;
  EXPECT_EQ(Explain(look, 12, ""), "a refit waits for at least 12 labels more");
  look.step.kind = Kind::kRollback;
  EXPECT_THAT(Explain(look, 3, "one class only"),
              HasSubstr("a rollback waits for at least 3 labels more; the last fit failed: one class only"));
}

}  // namespace
}  // namespace calserve
