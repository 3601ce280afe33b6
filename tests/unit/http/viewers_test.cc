#include "server/http/viewers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/clock.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;

std::shared_ptr<const std::string> Message(const std::string& text) {
  return std::make_shared<const std::string>(text);
}

TEST(ViewersTest, ASeatThatWasLeftIsFreeAgain) {
  Viewers viewers(2);
  const auto first = viewers.TryTake();
  auto second = viewers.TryTake();
  EXPECT_NE(first, nullptr);
  EXPECT_NE(second, nullptr);
  EXPECT_EQ(viewers.TryTake(), nullptr);
  second.reset();
  EXPECT_NE(viewers.TryTake(), nullptr);
}

TEST(ViewersTest, NobodySitsDownOnceStopped) {
  Viewers viewers(2);
  viewers.Stop();
  EXPECT_EQ(viewers.TryTake(), nullptr);
  EXPECT_FALSE(viewers.Wait(absl::InfiniteDuration()));
}

TEST(StreamEventsTest, WritesAMessageOnlyWhereItIsAnotherOne) {
  Viewers viewers(1);
  std::vector<std::string> told = {"{1}", "{1}", "{1}", "{2}"};
  size_t next = 0;
  std::vector<std::string> written;
  StreamEvents(
      viewers, {.interval = absl::Milliseconds(1), .heartbeat = absl::InfiniteDuration()},
      [&] { return next < told.size() ? Message(told[next++]) : nullptr; },
      [&](const std::string& text) {
        written.push_back(text);
        return true;
      });
  EXPECT_THAT(written, ElementsAre("event: state\ndata: {1}\n\n", "event: state\ndata: {2}\n\n"));
}

TEST(StreamEventsTest, SaysThatItIsAliveWhereNothingChanges) {
  Viewers viewers(1);
  int heartbeats = 0;
  StreamEvents(
      viewers, {.interval = absl::Milliseconds(1), .heartbeat = absl::Milliseconds(2)},
      [] { return Message("{}"); },
      [&](const std::string& text) { return !absl::StartsWith(text, ": alive") || ++heartbeats < 3; });
  EXPECT_EQ(heartbeats, 3);
}

TEST(StreamEventsTest, EndsWhereTheClientIsGone) {
  Viewers viewers(1);
  int written = 0;
  StreamEvents(
      viewers, {}, [] { return Message("{}"); },
      [&](const std::string&) {
        ++written;
        return false;
      });
  EXPECT_EQ(written, 1);
}

TEST(StreamEventsTest, TellsTheClientThatItEndsWhereItIsStopped) {
  Viewers viewers(1);
  std::atomic<bool> began{false};
  std::string last;
  std::thread watching([&] {
    StreamEvents(
        viewers, {.interval = absl::InfiniteDuration()}, [] { return Message("{}"); },
        [&](const std::string& text) {
          last = text;
          began = true;
          return true;
        });
  });
  while (!began) absl::SleepFor(absl::Milliseconds(1));
  viewers.Stop();
  watching.join();
  EXPECT_EQ(last, "event: end\ndata: {}\n\n");
}

}  // namespace
}  // namespace calserve
