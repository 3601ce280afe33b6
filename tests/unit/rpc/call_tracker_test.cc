#include "server/rpc/call_tracker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "absl/time/clock.h"

namespace calserve {
namespace {

TEST(CallTrackerTest, CountsFromBeginToTheEndOfTheCall) {
  CallTracker tracker;
  EXPECT_EQ(tracker.under_way(), 0);
  auto first = tracker.Begin();
  auto second = tracker.Begin();
  EXPECT_EQ(tracker.under_way(), 2);
  first.reset();
  EXPECT_EQ(tracker.under_way(), 1);
  second.reset();
  EXPECT_EQ(tracker.under_way(), 0);
}

TEST(CallTrackerTest, NoCallBeginsOnceDraining) {
  CallTracker tracker;
  const auto before = tracker.Begin();
  EXPECT_NE(before, nullptr);
  tracker.StartDrain();
  EXPECT_EQ(tracker.Begin([] { ADD_FAILURE() << "a call that never began was told"; }), nullptr);
  EXPECT_EQ(tracker.under_way(), 1) << "what is under way goes on";
}

TEST(CallTrackerTest, WhoComesTooLateIsToldToGoElsewhere) {
  const absl::Status status = CallTracker::ShuttingDown();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ErrorReason(status), "SHUTTING_DOWN");
}

TEST(CallTrackerTest, EveryCallUnderWayIsToldOfTheDrainOnce) {
  CallTracker tracker;
  int first = 0, second = 0, ended = 0;
  const auto one = tracker.Begin([&] { ++first; });
  const auto silent = tracker.Begin();
  const auto two = tracker.Begin([&] { ++second; });
  tracker.Begin([&] { ++ended; }).reset();
  tracker.StartDrain();
  tracker.StartDrain();
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 1);
  EXPECT_EQ(ended, 0);
}

// gRPC may end a unary call within what a stream does when it is told.
TEST(CallTrackerTest, AnotherCallMayEndWhileAStreamIsTold) {
  CallTracker tracker;
  auto unary = tracker.Begin();
  const auto stream = tracker.Begin([&] { unary.reset(); });
  tracker.StartDrain();
  EXPECT_EQ(tracker.under_way(), 1);
}

TEST(CallTrackerTest, WaitsUntilTheLastCallHasEnded) {
  CallTracker tracker;
  auto first = tracker.Begin();
  auto second = tracker.Begin();
  tracker.StartDrain();
  std::atomic<bool> idle{false};
  std::jthread waiting([&] {
    EXPECT_EQ(tracker.WaitUntilIdle(absl::InfiniteDuration()), 0);
    idle = true;
  });
  first.reset();
  absl::SleepFor(absl::Milliseconds(10));
  EXPECT_FALSE(idle);
  second.reset();
  waiting.join();
  EXPECT_TRUE(idle);
}

TEST(CallTrackerTest, AfterTheTimeoutItSaysHowManyAreLeft) {
  CallTracker tracker;
  EXPECT_EQ(tracker.WaitUntilIdle(absl::ZeroDuration()), 0);
  const auto first = tracker.Begin();
  const auto second = tracker.Begin();
  EXPECT_EQ(tracker.WaitUntilIdle(absl::Milliseconds(5)), 2);
}

TEST(CallTrackerTest, CallsOfManyThreadsDuringADrainAllEnd) {
  CallTracker tracker;
  std::atomic<int> begun{0}, refused{0};
  std::vector<std::jthread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      while (refused < 100) {
        std::atomic<int> told{0};
        auto call = tracker.Begin([&] { ++told; });
        ++(call != nullptr ? begun : refused);
        call.reset();
        EXPECT_LE(told, 1);
      }
    });
  }
  while (begun < 100) std::this_thread::yield();
  tracker.StartDrain();
  EXPECT_EQ(tracker.WaitUntilIdle(absl::InfiniteDuration()), 0);
  callers.clear();
  EXPECT_EQ(tracker.under_way(), 0);
}

}  // namespace
}  // namespace calserve
