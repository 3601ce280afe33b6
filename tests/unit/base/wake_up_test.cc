#include "server/base/wake_up.h"

#include <atomic>
#include <thread>

#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace calserve {
namespace {

constexpr absl::Duration kLittle = absl::Milliseconds(20);

TEST(WakeUpTest, WhatWasAnnouncedBeforeTheWaitIsNotMissed) {
  WakeUp wake_up;
  wake_up.Notify();
  EXPECT_TRUE(wake_up.Wait(absl::InfiniteDuration()));
  EXPECT_TRUE(wake_up.Wait(absl::InfiniteDuration())) << "until it is cleared";
}

TEST(WakeUpTest, WhatWasClearedIsWaitedForAgain) {
  WakeUp wake_up;
  wake_up.Notify();
  wake_up.Clear();
  std::atomic<bool> woken{false};
  std::jthread waiter([&] { woken = wake_up.Wait(absl::InfiniteDuration()); });
  absl::SleepFor(kLittle);
  EXPECT_FALSE(woken);
  wake_up.Notify();
  waiter.join();
  EXPECT_TRUE(woken);
}

TEST(WakeUpTest, AWaitEndsWithItsTimeAndAPauseWithNothingElse) {
  WakeUp wake_up;
  EXPECT_TRUE(wake_up.Wait(absl::Milliseconds(1)));
  wake_up.Notify();
  const absl::Time start = absl::Now();
  EXPECT_TRUE(wake_up.Pause(kLittle));
  EXPECT_GE(absl::Now() - start, kLittle / 2) << "it was announced before";
}

TEST(WakeUpTest, StopEndsEveryWaitForGood) {
  WakeUp wake_up;
  std::atomic<int> ended{0};
  std::jthread wait([&] { ended += wake_up.Wait(absl::InfiniteDuration()) ? 0 : 1; });
  std::jthread pause([&] { ended += wake_up.Pause(absl::InfiniteDuration()) ? 0 : 1; });
  absl::SleepFor(kLittle);
  EXPECT_EQ(ended, 0);
  wake_up.Stop();
  wait.join();
  pause.join();
  EXPECT_EQ(ended, 2);
  EXPECT_FALSE(wake_up.Wait(absl::InfiniteDuration()));
  EXPECT_FALSE(wake_up.Pause(absl::ZeroDuration()));
}

}  // namespace
}  // namespace calserve
