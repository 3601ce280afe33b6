#include "server/base/accepting.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace calserve {
namespace {

class AcceptingTest : public ::testing::Test {
 protected:
  AcceptingTest() {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address_);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address_), length), 0);
    EXPECT_EQ(listen(listener_, 16), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address_), &length), 0);
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
    EXPECT_EQ(Accept(), -1);  // From the first call on a file is kept for what is to be turned away.
    EXPECT_EQ(errno, EAGAIN);
  }
  ~AcceptingTest() override {
    SetLimit(before_.rlim_cur);
    close(listener_);
  }

  int Connect() const {
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(client, reinterpret_cast<const sockaddr*>(&address_), sizeof(address_)), 0);
    return client;
  }
  // As gRPC calls it.
  int Accept() const { return accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); }
  void SetLimit(rlim_t files) const {
    rlimit limit = before_;
    limit.rlim_cur = files;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  }
  static bool IsClosed(int client) {
    pollfd readable = {.fd = client, .events = POLLIN, .revents = 0};
    char byte = 0;
    return poll(&readable, 1, 10'000) == 1 && recv(client, &byte, 1, 0) <= 0;
  }

  const int listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address_ = {};
  rlimit before_ = {};
};

TEST_F(AcceptingTest, WhatThereIsNoFileForIsTurnedAwayAndLaterConnectionsAreNot) {
  const std::array<int, 3> clients = {Connect(), Connect(), Connect()};
  const int64_t before = ConnectionsTurnedAway();
  const int highest = dup(listener_);
  close(highest);
  SetLimit(static_cast<rlim_t>(highest));  // All below are taken.
  EXPECT_EQ(Accept(), -1);
  EXPECT_EQ(errno, EAGAIN) << "not what gRPC gives up listening for";
  EXPECT_EQ(ConnectionsTurnedAway(), before + 3);
  SetLimit(before_.rlim_cur);
  for (const int client : clients) {
    EXPECT_TRUE(IsClosed(client));
    close(client);
  }
  const int client = Connect(), connection = Accept();
  EXPECT_GE(connection, 0);
  close(connection);
  close(client);
}

TEST_F(AcceptingTest, OtherErrorsAreSaid) {
  EXPECT_EQ(accept4(-1, nullptr, nullptr, 0), -1);
  EXPECT_EQ(errno, EBADF);
}

TEST_F(AcceptingTest, TheLimitIsRaisedAsFarAsItMay) {
  SetLimit(before_.rlim_cur - 1);
  RaiseOpenFileLimit();
  rlimit now = {};
  getrlimit(RLIMIT_NOFILE, &now);
  EXPECT_EQ(now.rlim_cur, std::max<rlim_t>(before_.rlim_cur - 1, std::min<rlim_t>(before_.rlim_max, 65'536)));
}

}  // namespace
}  // namespace calserve
