#include "server/model/loading_thread.h"

#include <stdexcept>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/mutex.h"

namespace calserve {
namespace {

using Loaded = absl::StatusOr<std::unique_ptr<LoadedVersion>>;
using ::testing::HasSubstr;

TEST(LoadingThreadTest, LoadsOnAThreadOfItsOwnAndGivesWhatItGave) {
  std::thread::id where;
  const VersionLoader load = [&](int64_t version, const LoadMoment&) -> Loaded {
    where = std::this_thread::get_id();
    return absl::NotFoundError(version == 7 ? "seven" : "another");
  };
  EXPECT_EQ(LoadOnThreadThatEnds(load, 7, {}).status().message(), "seven");
  EXPECT_NE(where, std::thread::id());
  EXPECT_NE(where, std::this_thread::get_id());
}

TEST(LoadingThreadTest, WhatTheLoaderThrowsIsAnError) {
  const VersionLoader load = [](int64_t, const LoadMoment&) -> Loaded {
    throw std::runtime_error("no such operator");
  };
  const absl::Status status = LoadOnThreadThatEnds(load, 1, {}).status();
  EXPECT_TRUE(absl::IsInternal(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("no such operator"));
}

TEST(LoadingThreadTest, ALoadThatTakesLongIsSaidAgainAndAgain) {
  Mutex mu;
  CondVar reminded;
  int reminders = 0;
  absl::Duration last;
  const auto still_loading = [&](absl::Duration so_far) {
    MutexLock lock(&mu);
    EXPECT_GT(so_far, last);
    last = so_far;
    ++reminders;
    reminded.SignalAll();
  };
  const VersionLoader load = [&](int64_t, const LoadMoment&) -> Loaded {
    MutexLock lock(&mu);
    while (reminders < 3) reminded.Wait(&mu);
    return absl::UnavailableError("after three");
  };
  const Loaded loaded =
      LoadOnThreadThatEnds(load, 1, {.still_loading = still_loading, .remind_every = absl::Milliseconds(1)});
  EXPECT_EQ(loaded.status().message(), "after three");
}

}  // namespace
}  // namespace calserve
