#include "server/http/connection_stream.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>

namespace calserve {
namespace {

constexpr absl::Duration kNoticeStop = absl::Milliseconds(50);

// No one sets it back.
absl::Duration SteadyNow() { return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch()); }

bool Again() { return errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK; }

}  // namespace

ConnectionStream::ConnectionStream(int socket, const ConnectionLimits& limits, Crowd& crowd,
                                   const std::atomic<bool>& stopping)
    : socket_(socket),
      limits_(limits),
      started_(SteadyNow()),
      deadline_(started_ + std::min(limits.head, limits.whole)),
      place_(crowd, socket),
      may_read_(limits.read_bytes),
      stopping_(stopping) {}

ConnectionStream::~ConnectionStream() = default;

ConnectionStream::Socket::~Socket() { close(fd); }

bool ConnectionStream::WaitFor(short events, absl::Duration until) const {
  while (true) {
    const absl::Duration left = until - SteadyNow();
    if (left <= absl::ZeroDuration()) return false;
    const absl::Duration wait = stopping_ ? absl::ZeroDuration() : std::min(left, kNoticeStop);
    pollfd polled{socket_.fd, events, 0};
    const int ready = poll(&polled, 1, static_cast<int>(absl::ToInt64Milliseconds(wait)));
    if (ready > 0) return true;  // Also an error or the end: what is tried next says which.
    if (ready < 0 && errno != EINTR) return false;
    if (stopping_) return false;
    if (ready == 0) place_.KeptWaiting();
  }
}

void ConnectionStream::HeadIsRead() {
  deadline_ = started_ + limits_.whole;
  place_.Keep();
}

bool ConnectionStream::Fill() {
  const size_t room = std::min(buffer_.size(), may_read_);
  while (room > 0 && WaitFor(POLLIN, deadline_)) {
    const ssize_t got = recv(socket_.fd, buffer_.data(), room, MSG_DONTWAIT);
    if (got < 0 && Again()) continue;
    if (got <= 0) return false;
    begin_ = 0;
    end_ = static_cast<size_t>(got);
    may_read_ -= end_;
    return true;
  }
  return false;
}

ssize_t ConnectionStream::read(char* to, size_t size) {
  if (begin_ == end_ && !Fill()) return -1;
  const size_t taken = std::min(size, end_ - begin_);
  std::copy_n(buffer_.data() + begin_, taken, to);
  begin_ += taken;
  return static_cast<ssize_t>(taken);
}

absl::Duration ConnectionStream::WriteDeadline() const {
  return each_write_ ? SteadyNow() + limits_.whole : deadline_;
}

bool ConnectionStream::ClientIsGone() const {
  char next = 0;
  const ssize_t got = recv(socket_.fd, &next, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && !Again());
}

ssize_t ConnectionStream::write(const char* from, size_t size) {
  if (!each_write_) place_.MayGo();
  const absl::Duration deadline = WriteDeadline();
  while (WaitFor(POLLOUT, deadline)) {
    const ssize_t sent = send(socket_.fd, from, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0 || !Again()) return sent;
  }
  return -1;
}

bool ConnectionStream::is_readable() const {
  return begin_ < end_ || (may_read_ > 0 && WaitFor(POLLIN, deadline_));
}
bool ConnectionStream::is_writable() const {
  return !(each_write_ && ClientIsGone()) && WaitFor(POLLOUT, WriteDeadline());
}

void ConnectionStream::get_remote_ip_and_port(std::string& ip, int& port) const {
  const PeerAddress peer = PeerOf(socket_.fd);
  ip = peer.host;
  port = peer.port;
}
// Nothing here depends on it.
void ConnectionStream::get_local_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

void ConnectionStream::FinishWriting(absl::Duration linger) {
  shutdown(socket_.fd, SHUT_WR);
  const absl::Duration end = std::min(WriteDeadline(), SteadyNow() + linger);
  std::array<char, 4096> ignored;
  while (WaitFor(POLLIN, end)) {
    const ssize_t got = recv(socket_.fd, ignored.data(), ignored.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && !Again())) return;
  }
}

}  // namespace calserve
