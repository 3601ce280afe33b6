#include "server/rpc/hybrid_poll.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "absl/time/time.h"

namespace calserve {
namespace {

absl::Duration Us(double micros) { return absl::Microseconds(micros); }

// A thread whose sleep ends late: by 45 µs, as measured on a virtual machine, or as told.
class Sleeper {
 public:
  void set_oversleeps(absl::Duration by) { oversleeps_ = by; }

  // One wait for an event that comes `after` it began. How late it was noticed.
  absl::Duration Wait(absl::Duration after) {
    const absl::Duration nap = poll_.Nap();
    if (nap == absl::ZeroDuration()) {
      poll_.Waited(after);
      return absl::ZeroDuration();
    }
    const absl::Duration took = nap + oversleeps_;
    poll_.Overslept(oversleeps_);
    slept_ += took;
    poll_.Waited(after < took ? absl::ZeroDuration() : after);
    return std::max(took - after, absl::ZeroDuration());
  }
  void Wait(absl::Duration after, int times) {
    for (int i = 0; i < times; ++i) Wait(after);
  }
  // How many waits until `done`; `most` where it is not.
  template <typename Done>
  int WaitUntil(absl::Duration after, const Done& done, int most) {
    int waits = 0;
    while (waits < most && !done()) {
      Wait(after);
      ++waits;
    }
    return waits;
  }
  absl::Duration Nap() const { return poll_.Nap(); }
  absl::Duration slept() const { return slept_; }

 private:
  HybridPoll poll_;
  absl::Duration oversleeps_ = Us(45);
  absl::Duration slept_;
};

TEST(HybridPollTest, SleepsThroughMostOfWhatIsAlwaysQuiet) {
  Sleeper sleeper;
  sleeper.Wait(Us(200), 1000);
  const absl::Duration before = sleeper.slept();
  absl::Duration late;
  for (int i = 0; i < 1000; ++i) late += sleeper.Wait(Us(200));
  EXPECT_GT(sleeper.slept() - before, 0.75 * 1000 * Us(200));
  EXPECT_LT(late, 1000 * Us(1)) << "a microsecond each";
}

TEST(HybridPollTest, HardlyEverSleepsWhereWaitsAreShorterThanTheShortestSleep) {
  Sleeper sleeper;
  sleeper.Wait(Us(35), 1000);
  const absl::Duration before = sleeper.slept();
  sleeper.Wait(Us(35), 10'000);
  EXPECT_LT(sleeper.slept() - before, 10'000 * Us(1)) << "of 35 µs each";
}

TEST(HybridPollTest, ANapIsShortHoweverLongItIsQuiet) {
  Sleeper sleeper;
  sleeper.Wait(absl::InfiniteDuration(), 100'000);
  EXPECT_EQ(sleeper.Nap(), HybridPoll::kLongestNap);
}

TEST(HybridPollTest, AboutOneEventIn20ComesTooEarlyWhateverTheirTimesAre) {
  std::mt19937 random(1);
  std::exponential_distribution<double> micros(1 / 2000.0);
  Sleeper sleeper;
  sleeper.Wait(absl::Seconds(1), 1000);
  int early = 0;
  absl::Duration late;
  constexpr int kWaits = 100'000;
  for (int i = 0; i < kWaits; ++i) {
    const absl::Duration by = sleeper.Wait(Us(micros(random)));
    early += by > absl::ZeroDuration() ? 1 : 0;
    late += by;
  }
  EXPECT_LT(early, 0.07 * kWaits);
  EXPECT_GT(early, 0.03 * kWaits);
  EXPECT_LT(late, kWaits * Us(5));
}

TEST(HybridPollTest, WakesInTimeSoonAfterCallsHaveBecomeFrequent) {
  Sleeper sleeper;
  sleeper.Wait(absl::InfiniteDuration(), 10'000);
  int late = 0;
  while (late < 100 && sleeper.Wait(Us(60)) > absl::ZeroDuration()) ++late;
  EXPECT_LE(late, 20);
}

TEST(HybridPollTest, SleepsAgainSoonAfterCallsHaveBecomeRare) {
  Sleeper sleeper;
  sleeper.Wait(Us(35), 10'000);
  EXPECT_LE(sleeper.WaitUntil(
                Us(200), [&] { return sleeper.Nap() >= Us(100); }, 1000),
            300);
}

TEST(HybridPollTest, SleepsAgainSoonAfterItsSleepsWereFarTooLong) {
  for (const absl::Duration quiet : {Us(100), Us(200), Us(300), absl::InfiniteDuration()}) {
    Sleeper sleeper;
    sleeper.Wait(quiet, 1000);
    const absl::Duration before = sleeper.Nap();
    ASSERT_GT(before, absl::ZeroDuration());
    sleeper.set_oversleeps(absl::Milliseconds(3));  // The thread was not run when it should have been.
    sleeper.Wait(quiet, 1000);
    sleeper.set_oversleeps(Us(45));
    EXPECT_LE(sleeper.WaitUntil(
                  quiet, [&] { return sleeper.Nap() >= 0.8 * before; }, 10'000),
              2000)
        << quiet;
  }
}

// The first guess of it is for a virtual machine.
TEST(HybridPollTest, LearnsHowLateItWakes) {
  Sleeper late, punctual;
  punctual.set_oversleeps(Us(5));
  late.Wait(Us(150), 1000);
  punctual.Wait(Us(150), 1000);
  EXPECT_GT(punctual.slept(), late.slept());
  EXPECT_GT(punctual.Nap(), late.Nap() + Us(25));
}

}  // namespace
}  // namespace calserve
