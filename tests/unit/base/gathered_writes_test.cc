#include "server/base/gathered_writes.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/base/tcp_pair.h"

namespace calserve {
namespace {

// The kernel holds bytes back for 200 ms: a test that is stopped so long between two lines tries again.
constexpr int kTries = 10;

TEST(GatheredWritesTest, WhatIsWrittenWaitsForTheEndAndThenComesWhole) {
  int held = 0;
  for (int tries = 0; tries < kTries && held != 3; ++tries) {
    const TcpPair pair;
    {
      const GatheredWrites gathered;
      for (const char* text : {"a", "b", "c"}) EXPECT_EQ(SendMessage(pair.writer(), text), 1);
      held = pair.unsent();
      EXPECT_EQ(gathered.writes(), 3);
    }
    EXPECT_EQ(pair.unsent(), 0);
    EXPECT_EQ(pair.Read(3), "abc");
  }
  EXPECT_EQ(held, 3);
}

TEST(GatheredWritesTest, NothingWaitsBeforeOrAfter) {
  const TcpPair pair;
  EXPECT_EQ(SendMessage(pair.writer(), "before"), 6);
  EXPECT_EQ(pair.unsent(), 0);
  { const GatheredWrites gathered; }
  EXPECT_EQ(SendMessage(pair.writer(), "after"), 5);
  EXPECT_EQ(pair.unsent(), 0);
  EXPECT_EQ(pair.Read(11), "beforeafter");
}

TEST(GatheredWritesTest, EachConnectionGetsItsOwn) {
  const std::array<TcpPair, 2> pairs;
  {
    const GatheredWrites gathered;
    SendMessage(pairs[0].writer(), "first");
    SendMessage(pairs[1].writer(), "second");
    SendMessage(pairs[0].writer(), ", again");
  }
  EXPECT_EQ(pairs[0].Read(12), "first, again");
  EXPECT_EQ(pairs[1].Read(6), "second");
}

TEST(GatheredWritesTest, AnotherThreadsWritesDoNotWait) {
  const TcpPair pair;
  const GatheredWrites gathered;
  std::jthread([&] {
    SendMessage(pair.writer(), "other");
    EXPECT_EQ(pair.unsent(), 0);
  }).join();
  EXPECT_EQ(pair.Read(5), "other");
  EXPECT_EQ(gathered.writes(), 0);
}

TEST(GatheredWritesTest, WhatItCannotRememberIsSentAtOnce) {
  std::vector<std::unique_ptr<TcpPair>> pairs;
  for (int i = 0; i < 40; ++i) pairs.push_back(std::make_unique<TcpPair>());
  {
    const GatheredWrites gathered;
    for (const auto& pair : pairs) SendMessage(pair->writer(), "x");
    EXPECT_EQ(pairs.back()->unsent(), 0);
    EXPECT_EQ(pairs.back()->Read(1), "x");
  }
  for (const auto& pair : pairs) EXPECT_EQ(pair->unsent(), 0);
  EXPECT_EQ(pairs.front()->Read(1), "x");
}

TEST(GatheredWritesTest, ASocketThatIsNotTcpIsNotDelayed) {
  std::array<int, 2> ends{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
  {
    const GatheredWrites gathered;
    SendMessage(ends[0], "local");
    EXPECT_EQ(Receive(ends[1], 5), "local");
  }
  for (const int end : ends) close(end);
}

TEST(GatheredWritesTest, ErrorsAreTheCallersAlone) {
  const int closed = dup(STDERR_FILENO);
  ASSERT_EQ(close(closed), 0);
  {
    const GatheredWrites gathered;
    EXPECT_EQ(SendMessage(closed, "x"), -1);
    EXPECT_EQ(errno, EBADF);
    errno = EINTR;
  }
  EXPECT_EQ(errno, EINTR) << "the end of it fails for the closed socket and keeps that to itself";
}

}  // namespace
}  // namespace calserve
