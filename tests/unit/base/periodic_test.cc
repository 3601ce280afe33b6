#include "server/base/periodic.h"

#include <gtest/gtest.h>

#include <atomic>
#include <semaphore>

#include "absl/time/clock.h"

namespace calserve {
namespace {

TEST(PeriodicTest, CallsAtOnceAndAgain) {
  std::counting_semaphore<> called(0);
  const Periodic periodic(absl::Milliseconds(1), [&](const std::stop_token&) { called.release(); });
  for (int i = 0; i < 3; ++i) called.acquire();
}

TEST(PeriodicTest, DestructionWaitsForNoInterval) {
  std::atomic<int> calls = 0;
  const absl::Time start = absl::Now();
  {
    std::binary_semaphore called(0);
    const Periodic periodic(absl::Hours(1), [&](const std::stop_token&) {
      ++calls;
      called.release();
    });
    called.acquire();
  }
  EXPECT_EQ(calls, 1);
  EXPECT_LT(absl::Now() - start, absl::Minutes(1));
}

TEST(PeriodicTest, DestructionAsksACallUnderWayToStop) {
  std::atomic<bool> stopped = false;
  {
    std::binary_semaphore called(0);
    const Periodic periodic(absl::Hours(1), [&](const std::stop_token& stop) {
      called.release();
      const absl::Time end = absl::Now() + absl::Seconds(30);
      while (!stop.stop_requested() && absl::Now() < end) absl::SleepFor(absl::Milliseconds(1));
      stopped = stop.stop_requested();
    });
    called.acquire();
  }
  EXPECT_TRUE(stopped);
}

}  // namespace
}  // namespace calserve
