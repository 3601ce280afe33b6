#ifndef CALSERVE_TESTS_UNIT_BASE_TCP_PAIR_H_
#define CALSERVE_TESTS_UNIT_BASE_TCP_PAIR_H_

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <string>

namespace calserve {

// By sendmsg, as gRPC sends; what it returns.
inline ssize_t SendMessage(int socket, std::string text) {
  iovec part{text.data(), text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  return sendmsg(socket, &message, MSG_NOSIGNAL);
}

// What comes on a socket, once `bytes` bytes have come or it is closed.
inline std::string Receive(int socket, size_t bytes) {
  std::string got(bytes, '\0');
  got.resize(std::max<ssize_t>(0, recv(socket, got.data(), bytes, MSG_WAITALL)));
  return got;
}

// Two ends of a connection over loopback, as gRPC sets it up: without Nagle's delay.
class TcpPair final {
 public:
  TcpPair() {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener, generic, size) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, generic, &size) != 0) {
      throw std::runtime_error("cannot listen on loopback");
    }
    reader_ = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(reader_, generic, size) != 0) throw std::runtime_error("cannot connect over loopback");
    writer_ = accept(listener, nullptr, nullptr);
    close(listener);
    constexpr int kOn = 1;
    setsockopt(writer_, IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof kOn);
  }
  ~TcpPair() {
    close(writer_);
    close(reader_);
  }
  TcpPair(const TcpPair&) = delete;
  TcpPair& operator=(const TcpPair&) = delete;

  int writer() const { return writer_; }
  std::string Read(size_t bytes) const { return Receive(reader_, bytes); }

  // Bytes that were written and wait in the kernel: it holds them back for 200 ms at most.
  int unsent() const {
    int bytes = 0;
    if (ioctl(writer_, SIOCOUTQNSD, &bytes) != 0) throw std::runtime_error("no SIOCOUTQNSD");
    return bytes;
  }

 private:
  int writer_ = -1, reader_ = -1;
};

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_BASE_TCP_PAIR_H_
