#include "server/base/byte_budget.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

namespace calserve {
namespace {

TEST(ByteBudgetTest, SharesTakeUpToTheLimitTogetherAndGiveBackWhatTheyTook) {
  ByteBudget budget(100);
  ByteBudget::Share first;
  EXPECT_TRUE(first.Take(budget, 60));
  EXPECT_TRUE(first.Take(budget, 10));
  {
    ByteBudget::Share second;
    EXPECT_FALSE(second.Take(budget, 31));
    EXPECT_EQ(budget.taken(), 70);
    EXPECT_TRUE(second.Take(budget, 30));
    EXPECT_EQ(budget.taken(), 100);
  }
  EXPECT_EQ(budget.taken(), 70);
  first = ByteBudget::Share();
  EXPECT_EQ(budget.taken(), 0);
}

TEST(ByteBudgetTest, AShareThatIsMovedIsGivenBackOnce) {
  ByteBudget budget(100);
  ByteBudget::Share first;
  ASSERT_TRUE(first.Take(budget, 60));
  {
    ByteBudget::Share second = std::move(first);
    EXPECT_EQ(budget.taken(), 60);
    ByteBudget::Share third;
    ASSERT_TRUE(third.Take(budget, 5));
    third = std::move(second);
    EXPECT_GE(budget.taken(), 60);
  }
  EXPECT_EQ(budget.taken(), 0);
}

TEST(ByteBudgetTest, ALowerLimitLeavesWhatIsTaken) {
  ByteBudget budget(100);
  ByteBudget::Share first, second;
  ASSERT_TRUE(first.Take(budget, 60));
  budget.SetLimit(50);
  EXPECT_FALSE(second.Take(budget, 1));
  first = ByteBudget::Share();
  EXPECT_TRUE(second.Take(budget, 50));
}

TEST(ByteBudgetTest, ThreadsNeverTakeMoreThanTheLimitTogether) {
  ByteBudget budget(3);
  std::atomic<int> holding{0}, most{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int round = 0; round < 5000; ++round) {
          ByteBudget::Share share;
          if (!share.Take(budget, 1)) continue;
          const int now = ++holding;
          for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
          }
          --holding;
        }
      });
    }
  }
  EXPECT_LE(most, 3);
  EXPECT_EQ(budget.taken(), 0);
}

}  // namespace
}  // namespace calserve
