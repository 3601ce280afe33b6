#include "server/base/on_cores.h"

#include <gtest/gtest.h>

#include <thread>
#include <utility>
#include <vector>

namespace calserve {
namespace {

TEST(OnCoresTest, SeveralAreSeenFromEveryThreadUntilOneIsLeft) {
  EXPECT_FALSE(OnCores::Several());
  std::vector<OnCores> requests;
  requests.emplace_back(true);
  EXPECT_FALSE(OnCores::Several());
  requests.emplace_back(true);
  std::jthread([] { EXPECT_TRUE(OnCores::Several()); }).join();
  requests.pop_back();
  EXPECT_FALSE(OnCores::Several());
}

TEST(OnCoresTest, OneThatIsMovedIsStillOne) {
  OnCores first(true);
  {
    OnCores moved = std::move(first);
    EXPECT_FALSE(OnCores::Several());
    const OnCores other(true);
    EXPECT_TRUE(OnCores::Several());
    first = std::move(moved);
    EXPECT_TRUE(OnCores::Several());
  }
  EXPECT_FALSE(OnCores::Several());
  const OnCores other(true);
  EXPECT_TRUE(OnCores::Several()) << "the one that was moved back lives";
}

TEST(OnCoresTest, WhatADeviceComputesIsNotCounted) {
  const OnCores on_cores(true), on_device(false), other(false);
  EXPECT_FALSE(OnCores::Several());
}

}  // namespace
}  // namespace calserve
