#include "server/config/instance_count.h"

#include "gtest/gtest.h"

namespace calserve {
namespace {

constexpr int kAuto = 0;

TEST(ChooseInstancesTest, WhatIsConfiguredHolds) {
  EXPECT_EQ(ChooseInstances(7, /*on_cpu=*/true, /*cores=*/2), 7);
  EXPECT_EQ(ChooseInstances(1, /*on_cpu=*/false, /*cores=*/2), 1);
}

TEST(ChooseInstancesTest, AutoIsOneACoreUpToFourOnACpu) {
  EXPECT_EQ(ChooseInstances(kAuto, /*on_cpu=*/true, /*cores=*/1), 1);
  EXPECT_EQ(ChooseInstances(kAuto, /*on_cpu=*/true, /*cores=*/3), 3);
  EXPECT_EQ(ChooseInstances(kAuto, /*on_cpu=*/true, /*cores=*/64), 4);
}

TEST(ChooseInstancesTest, AutoIsTwoOnAGpuHoweverManyCores) {
  EXPECT_EQ(ChooseInstances(kAuto, /*on_cpu=*/false, /*cores=*/1), 2);
  EXPECT_EQ(ChooseInstances(kAuto, /*on_cpu=*/false, /*cores=*/64), 2);
}

TEST(ChooseIntraOpThreadsTest, AutoSharesTheCoresAmongTheInstances) {
  EXPECT_EQ(ChooseIntraOpThreads(kAuto, /*instances=*/1, /*cores=*/8), 8);
  EXPECT_EQ(ChooseIntraOpThreads(kAuto, /*instances=*/3, /*cores=*/8), 2);
  EXPECT_EQ(ChooseIntraOpThreads(kAuto, /*instances=*/9, /*cores=*/8), 1);
  EXPECT_EQ(ChooseIntraOpThreads(kAuto, /*instances=*/0, /*cores=*/8), 8);  // no model yet
}

TEST(ChooseIntraOpThreadsTest, WhatIsConfiguredHolds) {
  EXPECT_EQ(ChooseIntraOpThreads(3, /*instances=*/9, /*cores=*/8), 3);
}

TEST(ChoosePollingThreadsTest, AutoIsOneForEveryFourCoresAndAtLeastOne) {
  EXPECT_EQ(ChoosePollingThreads(kAuto, /*cores=*/0), 1);
  EXPECT_EQ(ChoosePollingThreads(kAuto, /*cores=*/1), 1);
  EXPECT_EQ(ChoosePollingThreads(kAuto, /*cores=*/7), 1);
  EXPECT_EQ(ChoosePollingThreads(kAuto, /*cores=*/8), 2);
  EXPECT_EQ(ChoosePollingThreads(kAuto, /*cores=*/64), 16);
}

TEST(ChoosePollingThreadsTest, WhatIsConfiguredHolds) { EXPECT_EQ(ChoosePollingThreads(3, /*cores=*/8), 3); }

}  // namespace
}  // namespace calserve
