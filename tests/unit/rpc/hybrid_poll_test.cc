#include "server/rpc/hybrid_poll.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "absl/time/time.h"

namespace calserve {
namespace {

constexpr absl::Duration kOversleeps = absl::Microseconds(45);  // as measured on a virtual machine

absl::Duration Us(double micros) { return absl::Microseconds(micros); }

// A thread whose sleep ends late.
class Sleeper {
 public:
  // One wait for an event that comes `after` it began. How late it was noticed.
  absl::Duration Wait(absl::Duration after) {
    const absl::Duration nap = poll_.Nap();
    const absl::Duration took = nap > absl::ZeroDuration() ? nap + kOversleeps : absl::ZeroDuration();
    if (nap > absl::ZeroDuration()) poll_.Napped(nap, took);
    const bool in_nap = after < took;
    const absl::Duration noticed = std::max(after, took);
    poll_.Waited(noticed, in_nap);
    slept_ += took;
    return noticed - after;
  }
  void Wait(absl::Duration after, int times) {
    for (int i = 0; i < times; ++i) Wait(after);
  }
  absl::Duration slept() const { return slept_; }
  HybridPoll& poll() { return poll_; }

 private:
  HybridPoll poll_;
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

TEST(HybridPollTest, NeverSleepsWhereWaitsAreShorterThanTheShortestSleep) {
  Sleeper sleeper;
  sleeper.Wait(Us(35), 10'000);
  EXPECT_EQ(sleeper.slept(), absl::ZeroDuration());
}

TEST(HybridPollTest, ANapIsShortHoweverLongItIsQuiet) {
  Sleeper sleeper;
  sleeper.Wait(absl::Hours(1), 100'000);
  EXPECT_EQ(sleeper.poll().Nap(), HybridPoll::kLongestNap);
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
  sleeper.Wait(absl::Seconds(1), 10'000);
  int late = 0;
  while (sleeper.Wait(Us(60)) > absl::ZeroDuration()) ++late;
  EXPECT_LE(late, 20);
  sleeper.Wait(Us(35), 1000);
  EXPECT_EQ(sleeper.poll().Nap(), absl::ZeroDuration());
}

TEST(HybridPollTest, SleepsAgainSoonAfterCallsHaveBecomeRare) {
  Sleeper sleeper;
  sleeper.Wait(Us(35), 10'000);
  int waits = 0;
  for (; sleeper.poll().Nap() < Us(100); ++waits) sleeper.Wait(Us(200));
  EXPECT_LE(waits, 200);
}

// The thread was not run for a while: that says nothing of the next sleep.
TEST(HybridPollTest, OneSleepThatWasFarTooLongIsSoonForgotten) {
  Sleeper sleeper;
  sleeper.Wait(Us(200), 1000);
  const absl::Duration before = sleeper.poll().Nap();
  sleeper.poll().Napped(before, absl::Seconds(1));
  EXPECT_GT(sleeper.poll().Nap(), before - Us(10));
}

// The first guess of it is for a virtual machine.
TEST(HybridPollTest, LearnsHowLateItWakes) {
  HybridPoll poll;
  for (int i = 0; i < 1000; ++i) poll.Waited(Us(150), false);
  const absl::Duration first = poll.Nap();
  for (int i = 0; i < 100; ++i) poll.Napped(poll.Nap(), poll.Nap() + Us(5));
  EXPECT_GT(poll.Nap(), first + Us(40));
}

}  // namespace
}  // namespace calserve
