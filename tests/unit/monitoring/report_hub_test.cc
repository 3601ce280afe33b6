#include "server/monitoring/report_hub.h"

#include <atomic>
#include <map>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/monitoring/monitoring_testing.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Le;

// A monitor whose labels are counted by the test.
class PuppetMonitor final : public CalibrationMonitor {
 public:
  explicit PuppetMonitor(const Clock& clock) : clock_(clock) {}

  void Label(const MonitorKey& key = kKey) {
    {
      MutexLock lock(&mu_);
      labels_[key] = ++position_;
    }
    Folded();
  }
  void SetCatchingUp(bool catching_up) {
    {
      MutexLock lock(&mu_);
      catching_up_ = catching_up;
    }
    Folded();
  }
  int reports() const { return reports_; }

  void Notify() override {}
  SliceTable Slices(const std::string&) const override { return {}; }
  absl::StatusOr<WindowReport> Report(const MonitorKey& key, const std::string& window) override {
    if (window == "unknown") return absl::InvalidArgumentError("no window is called \"unknown\"");
    ++reports_;
    WindowReport report;
    report.key = key;
    report.window = window;
    report.time = clock_.Now();
    report.alarm = Alarm(key);
    MutexLock lock(&mu_);
    report.position = position_;
    const auto it = labels_.find(key);
    report.label_position = it == labels_.end() ? 0 : it->second;
    report.served.n = report.label_position;
    report.catching_up = catching_up_;
    return report;
  }
  void SetShadows(ShadowSource) override {}
  LabelArrivals::Summary Arrivals(const MonitorKey&) const override { return {}; }
  AlarmStatus Alarm(const MonitorKey&) const override {
    MutexLock lock(&mu_);
    AlarmStatus alarm;
    alarm.acknowledgements = acknowledgements_;
    return alarm;
  }
  absl::StatusOr<AlarmStatus> AcknowledgeAlarm(const MonitorKey& key) override {
    {
      MutexLock lock(&mu_);
      ++acknowledgements_;
    }
    Folded();
    return Alarm(key);
  }
  KeyRevision Revision(const MonitorKey& key) const override {
    MutexLock lock(&mu_);
    const auto it = labels_.find(key);
    return {it == labels_.end() ? 0 : it->second, acknowledgements_};
  }
  MonitorState state() const override {
    MutexLock lock(&mu_);
    MonitorState state;
    state.position = position_;
    state.catching_up = catching_up_;
    return state;
  }
  void SetOnFold(std::function<void()> on_fold) override {
    MutexLock lock(&on_fold_mu_);
    on_fold_ = std::move(on_fold);
  }
  bool WaitForPosition(int64_t, absl::Duration) override { return true; }
  absl::Status SaveCheckpoint() override { return absl::OkStatus(); }

 private:
  void Folded() {
    MutexLock lock(&on_fold_mu_);
    if (on_fold_ != nullptr) on_fold_();
  }

  const Clock& clock_;
  std::atomic<int> reports_{0};
  mutable Mutex mu_;
  std::map<MonitorKey, int64_t> labels_ ABSL_GUARDED_BY(mu_);
  int64_t position_ ABSL_GUARDED_BY(mu_) = 0;
  bool catching_up_ ABSL_GUARDED_BY(mu_) = false;
  int64_t acknowledgements_ ABSL_GUARDED_BY(mu_) = 0;
  Mutex on_fold_mu_;
  std::function<void()> on_fold_ ABSL_GUARDED_BY(on_fold_mu_);
};

// Counts how often it was told.
class Bell {
 public:
  std::function<void()> Ring() {
    return [this] {
      MutexLock lock(&mu_);
      ++rung_;
      rang_.SignalAll();
    };
  }
  // Waits until it was rung `count` times in all.
  bool Wait(int count, absl::Duration timeout = kPatience) {
    const absl::Time end = absl::Now() + timeout;
    MutexLock lock(&mu_);
    while (rung_ < count && absl::Now() < end) rang_.WaitFor(&mu_, end - absl::Now());
    return rung_ >= count;
  }
  int rung() {
    MutexLock lock(&mu_);
    return rung_;
  }

 private:
  Mutex mu_;
  CondVar rang_;
  int rung_ ABSL_GUARDED_BY(mu_) = 0;
};

// Longer than it takes the hub to notice anything but time passing.
constexpr absl::Duration kQuiet = absl::Milliseconds(200);

class ReportHubTest : public ::testing::Test {
 protected:
  Subscription Watch(std::vector<std::string> windows = {"last_1000"},
                     absl::Duration min_interval = absl::Milliseconds(10)) {
    return {[] { return kKey; }, nullptr, std::move(windows), min_interval};
  }
  std::unique_ptr<ReportHub::Subscriber> Subscribe(Bell& bell, Subscription subscription) {
    return *hub_->Subscribe(std::move(subscription), bell.Ring());
  }

  ManualClock clock_{kStart};
  PuppetMonitor monitor_{clock_};
  std::unique_ptr<ReportHub> hub_ = ReportHub::Create(monitor_, clock_, 100);
};

TEST_F(ReportHubTest, TellsOfTheFirstReportAtOnceAlsoWithoutLabels) {
  Bell bell;
  const auto subscriber = Subscribe(bell, Watch({"last_1000", "last_1h"}));
  ASSERT_TRUE(bell.Wait(1));
  const std::vector<WindowReport> reports = subscriber->Take();
  ASSERT_EQ(reports.size(), 2);
  EXPECT_EQ(reports[0].window, "last_1000");
  EXPECT_EQ(reports[1].window, "last_1h");
}

TEST_F(ReportHubTest, TellsAgainAfterALabelOfItsKeyOnly) {
  Bell bell;
  const auto subscriber = Subscribe(bell, Watch());
  ASSERT_TRUE(bell.Wait(1));
  subscriber->Take();
  monitor_.Label({"digits", 1, 0});
  EXPECT_FALSE(bell.Wait(2, kQuiet));
  monitor_.Label();
  ASSERT_TRUE(bell.Wait(2));
  EXPECT_EQ(subscriber->Take()[0].label_position, 2);
}

TEST_F(ReportHubTest, TellsOnceUntilTaken) {
  Bell bell;
  const auto subscriber = Subscribe(bell, Watch());
  ASSERT_TRUE(bell.Wait(1));
  for (int i = 0; i < 10; ++i) monitor_.Label();
  EXPECT_FALSE(bell.Wait(2, kQuiet));
  EXPECT_EQ(subscriber->Take()[0].label_position, 10) << "the newest, not that of the telling";
}

TEST_F(ReportHubTest, LabelBetweenTellingAndTakingIsNotToldAgain) {
  Bell bell;
  const auto subscriber = Subscribe(bell, Watch());
  ASSERT_TRUE(bell.Wait(1));
  monitor_.Label();
  absl::SleepFor(2 * absl::Milliseconds(10));
  EXPECT_EQ(subscriber->Take()[0].label_position, 1);
  EXPECT_FALSE(bell.Wait(2, kQuiet));
}

TEST_F(ReportHubTest, SubscriberWhoNeverTakesDelaysNobody) {
  Bell slow_bell, bell;
  const auto slow = Subscribe(slow_bell, Watch());
  const auto subscriber = Subscribe(bell, Watch());
  for (int i = 1; i <= 20; ++i) {
    ASSERT_TRUE(bell.Wait(i));
    subscriber->Take();
    monitor_.Label();
  }
  EXPECT_EQ(slow_bell.rung(), 1);
}

TEST_F(ReportHubTest, HoldsTheMinimalInterval) {
  Bell bell;
  std::unique_ptr<ReportHub::Subscriber> subscriber;
  const auto started = absl::Now();
  subscriber = Subscribe(bell, Watch({"last_1000"}, absl::Milliseconds(100)));
  int taken = 0;
  while (absl::Now() < started + absl::Milliseconds(550)) {
    monitor_.Label();
    if (bell.rung() > taken) {
      ++taken;
      subscriber->Take();
    }
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_THAT(taken, AllOf(Ge(2), Le(6)));
}

TEST_F(ReportHubTest, WindowThatAgesIsToldOfAgainWhenASecondHasPassed) {
  monitor_.Label();
  Bell aging_bell, counting_bell;
  const auto aging = Subscribe(aging_bell, Watch({"last_1h"}));
  const auto counting = Subscribe(counting_bell, Watch({"last_1000"}));
  ASSERT_TRUE(aging_bell.Wait(1) && counting_bell.Wait(1));
  aging->Take();
  counting->Take();
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(aging_bell.Wait(2));
  EXPECT_EQ(counting_bell.rung(), 1);
}

TEST_F(ReportHubTest, FollowsTheActiveCalibrator) {
  std::atomic<int64_t> active{1};
  monitor_.Label({"fashion", 3, 1});
  Bell bell;
  Subscription subscription = Watch();
  subscription.key = [&] { return MonitorKey{"fashion", 3, active}; };
  const auto subscriber = Subscribe(bell, std::move(subscription));
  ASSERT_TRUE(bell.Wait(1));
  EXPECT_EQ(subscriber->Take()[0].key.calibrator_version, 1);
  active = 2;
  ASSERT_TRUE(bell.Wait(2)) << "without a label";
  const WindowReport report = subscriber->Take()[0];
  EXPECT_EQ(report.key.calibrator_version, 2);
  EXPECT_EQ(report.served.n, 0);
}

TEST_F(ReportHubTest, TellsAWatchOfOneCalibratorThatAnotherBecameActive) {
  std::atomic<int64_t> active{2};
  Bell bell;
  Subscription subscription = Watch();
  subscription.active = [&] { return active.load(); };
  const auto subscriber = Subscribe(bell, std::move(subscription));
  ASSERT_TRUE(bell.Wait(1));
  subscriber->Take();
  active = 3;
  hub_->ActiveChanged();
  EXPECT_TRUE(bell.Wait(2));
}

TEST_F(ReportHubTest, TellsWhenCatchingUpHasEnded) {
  monitor_.SetCatchingUp(true);
  Bell bell;
  const auto subscriber = Subscribe(bell, Watch());
  ASSERT_TRUE(bell.Wait(1));
  EXPECT_TRUE(subscriber->Take()[0].catching_up);
  monitor_.SetCatchingUp(false);
  ASSERT_TRUE(bell.Wait(2));
  EXPECT_FALSE(subscriber->Take()[0].catching_up);
}

TEST_F(ReportHubTest, SubscribersOfOneWindowShareItsReports) {
  std::vector<std::unique_ptr<ReportHub::Subscriber>> subscribers(100);
  // Taken at once, from the hub's thread, as a stream that waits for news does.
  Mutex mu;
  for (auto& subscriber : subscribers) {
    MutexLock lock(&mu);
    subscriber = *hub_->Subscribe(Watch({"last_1000"}, absl::Milliseconds(50)), [&mu, &subscriber] {
      MutexLock take(&mu);
      subscriber->Take();
    });
  }
  absl::SleepFor(kQuiet);
  const int before = monitor_.reports();
  monitor_.Label();
  absl::SleepFor(kQuiet);
  EXPECT_THAT(monitor_.reports() - before, AllOf(Ge(1), Le(20))) << "for 100 subscribers";
  subscribers.clear();
}

TEST_F(ReportHubTest, TakesFromWithinOnReady) {
  Bell bell;
  std::unique_ptr<ReportHub::Subscriber> subscriber;
  Mutex mu;
  {
    MutexLock lock(&mu);
    subscriber = *hub_->Subscribe(Watch(), [&, ring = bell.Ring()] {
      MutexLock take(&mu);
      subscriber->Take();
      ring();
    });
  }
  ASSERT_TRUE(bell.Wait(1));
  monitor_.Label();
  EXPECT_TRUE(bell.Wait(2));
  subscriber.reset();
}

TEST_F(ReportHubTest, DestructionWaitsForTheCallUnderWay) {
  Bell entered;
  std::atomic<bool> left{false};
  auto subscriber = *hub_->Subscribe(Watch(), [&, ring = entered.Ring()] {
    ring();
    absl::SleepFor(absl::Milliseconds(50));
    left = true;
  });
  ASSERT_TRUE(entered.Wait(1));
  subscriber.reset();
  EXPECT_TRUE(left);
}

TEST_F(ReportHubTest, IsNotToldAfterDestruction) {
  Bell bell;
  auto subscriber = Subscribe(bell, Watch());
  ASSERT_TRUE(bell.Wait(1));
  subscriber->Take();
  subscriber.reset();
  monitor_.Label();
  EXPECT_FALSE(bell.Wait(2, kQuiet));
}

TEST_F(ReportHubTest, RefusesMoreSubscribersThanItsLimit) {
  const auto hub = ReportHub::Create(monitor_, clock_, 1);
  auto first = *hub->Subscribe(Watch(), [] {});
  EXPECT_THAT(hub->Subscribe(Watch(), [] {}).status(),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("at most 1 subscribers")));
  first.reset();
  EXPECT_TRUE(hub->Subscribe(Watch(), [] {}).ok());
}

TEST_F(ReportHubTest, RefusesUnknownWindowsAndBadIntervals) {
  const auto subscribe = [&](std::vector<std::string> windows, absl::Duration min_interval) {
    return hub_->Subscribe(Watch(std::move(windows), min_interval), [] {}).status();
  };
  const auto code = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(subscribe({"unknown"}, absl::Seconds(1)), StatusIs(code, HasSubstr("unknown")));
  EXPECT_THAT(subscribe({}, absl::Seconds(1)), StatusIs(code, HasSubstr("1 to 100 windows; names 0")));
  EXPECT_THAT(subscribe(std::vector<std::string>(101, "last_5"), absl::Seconds(1)),
              StatusIs(code, HasSubstr("names 101")));
  EXPECT_THAT(subscribe({"last_5"}, absl::Milliseconds(9)), StatusIs(code, HasSubstr("was 9ms")));
  EXPECT_THAT(subscribe({"last_5"}, absl::Hours(2)), StatusIs(code, HasSubstr("10 ms to 1 h")));
}

TEST(ReportsChangedTest, KeyLabelAcknowledgementCatchingUpOrAge) {
  const TakenReports taken{kKey, {5, 1}, kStart, false, false};
  EXPECT_FALSE(ReportsChanged(taken, kKey, {5, 1}, false, kStart + absl::Hours(1)));
  EXPECT_TRUE(ReportsChanged(taken, kKey, {6, 1}, false, kStart));
  EXPECT_TRUE(ReportsChanged(taken, kKey, {5, 2}, false, kStart));
  EXPECT_TRUE(ReportsChanged(taken, {"fashion", 3, 9}, {5, 1}, false, kStart));
  TakenReports catching_up = taken;
  catching_up.catching_up = true;
  EXPECT_FALSE(ReportsChanged(catching_up, kKey, {5, 1}, true, kStart));
  EXPECT_TRUE(ReportsChanged(catching_up, kKey, {5, 1}, false, kStart));
  TakenReports aging = taken;
  aging.ages = true;
  EXPECT_FALSE(ReportsChanged(aging, kKey, {5, 1}, false, kStart + absl::Milliseconds(999)));
  EXPECT_TRUE(ReportsChanged(aging, kKey, {5, 1}, false, kStart + absl::Seconds(1)));
  EXPECT_TRUE(ReportsChanged(aging, kKey, {5, 1}, false, kStart - absl::Seconds(1)))
      << "the clock was set back";
}

}  // namespace
}  // namespace calserve
