// Calibrators that are scored on live labels without serving.
#include <memory>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/monitoring/calibration_monitor.h"
#include "tests/unit/feedback/memory_store.h"
#include "tests/unit/monitoring/monitoring_testing.h"

namespace calserve {
namespace {

const MonitorKey kServing{"fashion", 3, 2}, kShadow{"fashion", 3, 7};

class ShadowTest : public ::testing::Test {
 protected:
  void Start() {
    monitor_ = *CalibrationMonitor::Create({.windows = {"last_1000"}}, store_, clock_, LookUpTemperature);
    monitor_->SetShadows([this] {
      MutexLock lock(&mu_);
      return shadows_;
    });
  }
  void SetShadow(int64_t after_position) {
    {
      MutexLock lock(&mu_);
      shadows_ = std::make_shared<ShadowList>(
          ShadowList{{kShadow, after_position, std::make_shared<const Calibrator>(TemperatureOf(3))}});
    }
    monitor_->Notify();
  }
  void RemoveShadow() {
    {
      MutexLock lock(&mu_);
      shadows_ = nullptr;
    }
    monitor_->Notify();
  }
  void Label(int count, const MonitorKey& key = kServing) {
    std::vector<ScoredLabel> labels;
    for (int i = 0; i < count; ++i) labels.push_back(LabelOf(++next_, key));
    ASSERT_TRUE(store_.Append(absl::MakeSpan(labels), clock_.Now()).ok());
    position_ += count;
    monitor_->Notify();
    ASSERT_TRUE(monitor_->WaitForPosition(position_, kPatience));
  }
  WindowReport Report(const MonitorKey& key) { return *monitor_->Report(key, "last_1000"); }
  // Once a change of the shadows is seen.
  WindowReport ReportOnce(const MonitorKey& key, bool shadow) {
    const absl::Time end = absl::Now() + kPatience;
    while (Report(key).shadow_after.has_value() != shadow && absl::Now() < end) {
      absl::SleepFor(absl::Milliseconds(1));
    }
    return Report(key);
  }

  ManualClock clock_{kStart};
  MemoryStore store_;
  Mutex mu_;
  std::shared_ptr<const ShadowList> shadows_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<CalibrationMonitor> monitor_;
  uint64_t next_ = 0;
  int64_t position_ = 0;
};

TEST_F(ShadowTest, CountsLabelsAfterItsFitWhoeverServedThem) {
  Start();
  Label(10);
  SetShadow(position_);
  EXPECT_EQ(ReportOnce(kShadow, true).served.n, 0);
  Label(5);
  Label(3, {"fashion", 3, 4});
  Label(4, {"fashion", 2, 4});
  const WindowReport report = Report(kShadow);
  EXPECT_EQ(report.served.n, 8);
  EXPECT_EQ(report.shadow_after, 10);
  EXPECT_EQ(report.label_position, 18);
  EXPECT_FALSE(report.alarm.raised.has_value());
  EXPECT_EQ(Report(kServing).served.n, 15) << "what serves is counted as without it";
  EXPECT_FALSE(Report(kServing).shadow_after.has_value());
}

TEST_F(ShadowTest, ShowsWhatItsOwnProbabilitiesWouldHave) {
  Start();
  SetShadow(0);
  ReportOnce(kShadow, true);
  Label(100);
  const WindowReport shadow = Report(kShadow), serving = Report(kServing);
  // MakeLabel's logits fall by 1/4 from class 0 on.
  std::vector<float> logits, probabilities(10);
  for (int k = 0; k < 10; ++k) logits.push_back(3.5f - 0.25f * static_cast<float>(k));
  ASSERT_TRUE(TemperatureOf(3).Apply(logits, absl::MakeSpan(probabilities)).ok());
  EXPECT_NEAR(shadow.served.mean_confidence, probabilities[0], 1e-6);
  EXPECT_NE(shadow.served.mean_confidence, serving.served.mean_confidence);
  EXPECT_NEAR(*shadow.uncalibrated.nll, *serving.uncalibrated.nll, 1e-6) << "softmax of the same labels";
}

TEST_F(ShadowTest, ANewOneBeginsWithTheLabelsThatItHasMissed) {
  Start();
  Label(10);
  SetShadow(4);
  EXPECT_EQ(ReportOnce(kShadow, true).served.n, 6);
  EXPECT_FALSE(Report(kShadow).truncated);
}

TEST_F(ShadowTest, IsTheSameAfterARestart) {
  Start();
  Label(10);
  SetShadow(4);
  ReportOnce(kShadow, true);
  Label(20);
  const WindowReport before = Report(kShadow);
  monitor_.reset();
  Start();
  const WindowReport after = ReportOnce(kShadow, true);
  EXPECT_EQ(after.served.n, before.served.n);
  EXPECT_EQ(after.served.ece, before.served.ece);
  EXPECT_EQ(after.served.nll, before.served.nll);
}

TEST_F(ShadowTest, OneThatBecomesActiveBeginsItsOwnWindowsEmpty) {
  Start();
  SetShadow(0);
  ReportOnce(kShadow, true);
  Label(10);
  RemoveShadow();
  EXPECT_EQ(ReportOnce(kShadow, false).served.n, 0);
  Label(3, kShadow);
  EXPECT_EQ(Report(kShadow).served.n, 3);
}

}  // namespace
}  // namespace calserve
