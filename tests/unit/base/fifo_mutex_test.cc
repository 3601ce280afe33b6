#include "server/base/fifo_mutex.h"

#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;

TEST(FifoMutexTest, WhoWantsItAgainAtOnceComesAfterThoseThatWait) {
  FifoMutex mu;
  std::vector<int> order;  // under mu
  const auto take = [&](int who) {
    FifoMutexLock lock(&mu);
    order.push_back(who);
  };
  const auto await_queue = [&](int64_t length) {
    while (mu.queued() < length) absl::SleepFor(absl::Milliseconds(1));
  };
  mu.Lock();
  std::jthread first(take, 1);
  await_queue(2);
  std::jthread second(take, 2);
  await_queue(3);
  mu.Unlock();
  take(3);
  first.join();
  second.join();
  EXPECT_THAT(order, ElementsAre(1, 2, 3));
  EXPECT_EQ(mu.queued(), 0);
}

TEST(FifoMutexTest, OneHoldsItAtATime) {
  FifoMutex mu;
  int count = 0;
  const auto add = [&] {
    for (int i = 0; i < 2000; ++i) {
      FifoMutexLock lock(&mu);
      ++count;
    }
  };
  std::jthread one(add), other(add);
  one.join();
  other.join();
  EXPECT_EQ(count, 4000);
}

}  // namespace
}  // namespace calserve
