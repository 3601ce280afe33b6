#include "server/base/before_waiting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(BeforeWaitingTest, AThreadThatWaitsForNothingRunsNothing) {
  bool ran = false;
  EXPECT_FALSE(RunBeforeWaiting([&] { ran = true; }));
  EXPECT_FALSE(ran);
}

TEST(BeforeWaitingTest, WorkRunsWhenItsThreadSaysInItsOrder) {
  WaitingThread thread;
  EXPECT_FALSE(thread.has_work());
  std::vector<int> ran;
  EXPECT_TRUE(RunBeforeWaiting([&] { ran.push_back(1); }));
  EXPECT_TRUE(RunBeforeWaiting([&] { ran.push_back(2); }));
  EXPECT_TRUE(thread.has_work());
  EXPECT_THAT(ran, IsEmpty());
  thread.Run();
  EXPECT_THAT(ran, ElementsAre(1, 2));
  EXPECT_FALSE(thread.has_work());
}

TEST(BeforeWaitingTest, WhatIsAddedMeanwhileIsLeftForTheNextTime) {
  WaitingThread thread;
  std::vector<int> ran;
  RunBeforeWaiting([&] {
    ran.push_back(1);
    EXPECT_TRUE(RunBeforeWaiting([&] { ran.push_back(2); }));
  });
  thread.Run();
  EXPECT_THAT(ran, ElementsAre(1));
  EXPECT_TRUE(thread.has_work());
  thread.Run();
  EXPECT_THAT(ran, ElementsAre(1, 2));
}

TEST(BeforeWaitingTest, ThreadsHaveNothingOfEachOther) {
  const WaitingThread thread;
  std::jthread([] { EXPECT_FALSE(RunBeforeWaiting([] {})); }).join();
  EXPECT_FALSE(thread.has_work());
}

TEST(BeforeWaitingTest, AThreadThatWaitsNoMoreRunsNothing) {
  { const WaitingThread thread; }
  EXPECT_FALSE(RunBeforeWaiting([] {}));
}

}  // namespace
}  // namespace calserve
