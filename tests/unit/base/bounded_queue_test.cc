#include "server/base/bounded_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace calserve {
namespace {

TEST(BoundedQueueTest, GivesItemsInTheirOrder) {
  BoundedQueue<int> queue(10, 100);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(queue.TryPush(int{i}));
  EXPECT_EQ(queue.size(), 3u);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(queue.Pop(), i);
}

TEST(BoundedQueueTest, RefusesBeyondItsItems) {
  BoundedQueue<int> queue(2, 100);
  EXPECT_TRUE(queue.TryPush(1));
  EXPECT_TRUE(queue.TryPush(2));
  EXPECT_FALSE(queue.TryPush(3));
  EXPECT_EQ(queue.Pop(), 1);
  EXPECT_TRUE(queue.TryPush(4));
}

TEST(BoundedQueueTest, RefusesBeyondItsBytes) {
  BoundedQueue<int> queue(10, 100);
  EXPECT_TRUE(queue.TryPush(1, 60));
  EXPECT_FALSE(queue.TryPush(2, 41));
  EXPECT_TRUE(queue.TryPush(3, 40));
  EXPECT_EQ(queue.Pop(), 1);
  EXPECT_TRUE(queue.TryPush(4, 60));
  EXPECT_FALSE(BoundedQueue<int>(10, 100).TryPush(1, 101));
}

TEST(BoundedQueueTest, LeavesARefusedItemToTheCaller) {
  BoundedQueue<std::unique_ptr<int>> queue(0, 0);
  auto item = std::make_unique<int>(7);
  EXPECT_FALSE(queue.TryPush(std::move(item)));
  ASSERT_NE(item, nullptr);
  EXPECT_EQ(*item, 7);
}

TEST(BoundedQueueTest, GivesWhatIsLeftAfterCloseThenNothing) {
  BoundedQueue<int> queue(10, 100);
  ASSERT_TRUE(queue.TryPush(1));
  queue.Close();
  EXPECT_FALSE(queue.TryPush(2));
  EXPECT_EQ(queue.Pop(), 1);
  EXPECT_EQ(queue.Pop(), std::nullopt);
}

TEST(BoundedQueueTest, CloseWakesEveryWaiter) {
  BoundedQueue<int> queue(10, 100);
  std::vector<std::jthread> waiters;
  for (int i = 0; i < 4; ++i) {
    waiters.emplace_back([&queue] { EXPECT_EQ(queue.Pop(), std::nullopt); });
  }
  queue.Close();
}

std::vector<std::pair<int, int64_t>> Items(int first, int count, int64_t bytes) {
  std::vector<std::pair<int, int64_t>> items;
  for (int i = first; i < first + count; ++i) items.emplace_back(i, bytes);
  return items;
}

TEST(BoundedQueueTest, ServesLanesInTurn) {
  BoundedQueue<int> queue(10, 100);
  ASSERT_TRUE(queue.TryPushAll("flooded", Items(0, 4, 1)));
  ASSERT_TRUE(queue.TryPushAll("other", Items(10, 2, 1)));
  std::vector<int> order;
  for (int i = 0; i < 6; ++i) order.push_back(*queue.Pop());
  EXPECT_EQ(order, (std::vector<int>{0, 10, 1, 11, 2, 3}));
  EXPECT_EQ(queue.size(), 0u);
}

TEST(BoundedQueueTest, AFullLaneRefusesNoOther) {
  BoundedQueue<int> queue(4, 100);
  ASSERT_TRUE(queue.TryPushAll("flooded", Items(0, 4, 25)));
  EXPECT_FALSE(queue.TryPushAll("flooded", Items(4, 1, 0)));
  EXPECT_TRUE(queue.TryPushAll("other", Items(10, 3, 1)));
  EXPECT_FALSE(queue.TryPushAll("other", Items(13, 2, 1)));
  EXPECT_FALSE(queue.TryPushAll("third", Items(20, 1, 101)));
  EXPECT_EQ(queue.size(), 7u);
}

TEST(BoundedQueueTest, WhatIsTakenOutMakesRoomAndLeavesTheOrder) {
  BoundedQueue<int> queue(4, 100);
  ASSERT_TRUE(queue.TryPushAll("mixed", Items(0, 4, 25)));
  ASSERT_TRUE(queue.TryPushAll("odd", {{1, 100}}));
  EXPECT_EQ(queue.TakeIf([](int item) { return item % 2 == 1; }), (std::vector<int>{1, 3, 1}));
  EXPECT_EQ(queue.size(), 2u);
  EXPECT_TRUE(queue.TryPushAll("mixed", Items(4, 2, 25)));
  EXPECT_FALSE(queue.TryPushAll("mixed", Items(6, 1, 1)));
  EXPECT_TRUE(queue.TryPushAll("odd", Items(10, 1, 100)));
  std::vector<int> order;
  for (int i = 0; i < 5; ++i) order.push_back(*queue.Pop());
  EXPECT_EQ(order, (std::vector<int>{0, 10, 2, 4, 5}));
}

TEST(BoundedQueueTest, SaysHowManyItemsComeUntilNewOnesOfALane) {
  BoundedQueue<int> queue(10, 100);
  EXPECT_EQ(queue.ItemsUntil("other", 0, 2), 2u);
  ASSERT_TRUE(queue.TryPushAll("flooded", Items(0, 8, 1)));
  EXPECT_EQ(queue.ItemsUntil("other", 0, 2), 4u);
  EXPECT_EQ(queue.ItemsUntil("flooded", 0, 2), 10u);
  EXPECT_EQ(queue.ItemsUntil("flooded", 1, 2), 4u) << "of its other level";
  ASSERT_TRUE(queue.TryPushAll("other", Items(10, 1, 1)));
  EXPECT_EQ(queue.ItemsUntil("other", 0, 2), 6u);
  EXPECT_EQ(queue.ItemsUntil("flooded", 0, 2), 11u);
  EXPECT_EQ(queue.ItemsUntil("flooded", 1, 2), 5u);
}

constexpr BoundedQueue<int>::Room kAllRoom = {10, 100};

std::vector<int> PopAll(BoundedQueue<int>& queue) {
  std::vector<int> order;
  while (queue.size() > 0) order.push_back(*queue.Pop());
  return order;
}

TEST(BoundedQueueTest, ServesTheLevelsOfALaneInTurn) {
  BoundedQueue<int> queue(10, 100);
  ASSERT_TRUE(queue.TryPushAll("lane", 2, Items(20, 4, 1), kAllRoom));
  ASSERT_TRUE(queue.TryPushAll("lane", 1, Items(10, 2, 1), kAllRoom));
  ASSERT_TRUE(queue.TryPushAll("lane", 7, Items(70, 1, 1), kAllRoom));
  EXPECT_EQ(PopAll(queue), (std::vector<int>{10, 20, 70, 11, 21, 22, 23}));
}

TEST(BoundedQueueTest, MoreLevelsAreNoMoreTurnsOfALane) {
  BoundedQueue<int> queue(10, 100);
  ASSERT_TRUE(queue.TryPushAll("two levels", 1, Items(10, 2, 1), kAllRoom));
  ASSERT_TRUE(queue.TryPushAll("two levels", 2, Items(20, 2, 1), kAllRoom));
  ASSERT_TRUE(queue.TryPushAll("other", Items(0, 4, 1)));
  EXPECT_EQ(PopAll(queue), (std::vector<int>{10, 0, 20, 1, 11, 2, 21, 3}));
}

TEST(BoundedQueueTest, SomeItemsMayFillLessOfALaneUnlessItIsEmpty) {
  constexpr BoundedQueue<int>::Room kLess = {3, 75};
  BoundedQueue<int> queue(4, 100);
  EXPECT_FALSE(queue.TryPushAll("lane", 2, Items(0, 5, 1), kLess));
  ASSERT_TRUE(queue.TryPushAll("lane", 2, Items(0, 3, 25), kLess));
  EXPECT_FALSE(queue.TryPushAll("lane", 2, Items(3, 1, 0), kLess));
  EXPECT_FALSE(queue.TryPushAll("lane", 3, Items(3, 1, 0), kLess)) << "levels share the room of their lane";
  EXPECT_TRUE(queue.TryPushAll("lane", 1, Items(3, 1, 25), {4, 100}));
  EXPECT_TRUE(queue.TryPushAll("empty", 2, Items(0, 4, 25), kLess));
  ASSERT_TRUE(queue.TryPushAll("bytes", 2, Items(0, 1, 60), kLess));
  EXPECT_FALSE(queue.TryPushAll("bytes", 2, Items(1, 1, 16), kLess));
  EXPECT_TRUE(queue.TryPushAll("bytes", 2, Items(1, 1, 15), kLess));
}

TEST(BoundedQueueTest, WhatIsTakenOutOfALevelLeavesTheOthers) {
  BoundedQueue<int> queue(4, 100);
  ASSERT_TRUE(queue.TryPushAll("lane", 1, {{1, 50}}, kAllRoom));
  ASSERT_TRUE(queue.TryPushAll("lane", 2, {{2, 25}, {3, 25}}, kAllRoom));
  EXPECT_EQ(queue.TakeIf([](int item) { return item % 2 == 1; }), (std::vector<int>{1, 3}));
  EXPECT_TRUE(queue.TryPushAll("lane", 1, {{4, 75}}, {4, 100}));
  EXPECT_EQ(PopAll(queue), (std::vector<int>{4, 2}));
}

TEST(BoundedQueueTest, LosesAndDoublesNothingBetweenThreads) {
  constexpr int kProducers = 4, kItems = 5'000;
  BoundedQueue<int> queue(16, 1 << 20);
  std::atomic<int64_t> sum{0}, taken{0};
  {
    std::vector<std::jthread> consumers;
    for (int c = 0; c < 3; ++c) {
      consumers.emplace_back([&] {
        while (const std::optional<int> item = queue.Pop()) {
          sum += *item;
          ++taken;
        }
      });
    }
    {
      std::vector<std::jthread> producers;
      for (int p = 0; p < kProducers; ++p) {
        producers.emplace_back([&] {
          for (int i = 1; i <= kItems; ++i) {
            while (!queue.TryPush(int{i}, 8)) std::this_thread::yield();
          }
        });
      }
    }
    queue.Close();
  }
  EXPECT_EQ(taken, kProducers * kItems);
  EXPECT_EQ(sum, int64_t{kProducers} * kItems * (kItems + 1) / 2);
}

}  // namespace
}  // namespace calserve
