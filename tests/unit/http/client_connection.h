#ifndef CALSERVE_TESTS_UNIT_HTTP_CLIENT_CONNECTION_H_
#define CALSERVE_TESTS_UNIT_HTTP_CLIENT_CONNECTION_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace calserve {

// A client's end of a connection.
class Connection {
 public:
  // Every address of 127.0.0.0/8 is one to come `from`.
  explicit Connection(const std::string& address, const char* from = "127.0.0.1")
      : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in own{};
    own.sin_family = AF_INET;
    inet_pton(AF_INET, from, &own.sin_addr);
    bind(socket_, reinterpret_cast<sockaddr*>(&own), sizeof(own));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(std::atoi(address.substr(address.rfind(':') + 1).c_str())));
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    connected_ = connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0;
  }
  ~Connection() { close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  bool connected() const { return connected_; }
  bool Send(const std::string& text) {
    return send(socket_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }
  // What comes until `text` has come, or the server closes, or `timeout`.
  std::string ReadUntil(const std::string& text, absl::Duration timeout = absl::Seconds(20)) {
    std::string got;
    const absl::Time end = absl::Now() + timeout;
    while (got.find(text) == std::string::npos) {
      pollfd polled{socket_, POLLIN, 0};
      const int left = static_cast<int>(absl::ToInt64Milliseconds(end - absl::Now()));
      char byte = 0;
      if (left <= 0 || poll(&polled, 1, left) <= 0 || recv(socket_, &byte, 1, 0) <= 0) break;
      got.push_back(byte);
    }
    return got;
  }
  // Everything until the server closes; "open" after what came where it does not within `timeout`.
  std::string ReadToEnd(absl::Duration timeout = absl::Seconds(20)) {
    std::string text;
    const absl::Time end = absl::Now() + timeout;
    char buffer[4096];
    while (true) {
      pollfd polled{socket_, POLLIN, 0};
      const int left = static_cast<int>(absl::ToInt64Milliseconds(end - absl::Now()));
      if (left <= 0 || poll(&polled, 1, left) <= 0) return text + "open";
      const ssize_t got = recv(socket_, buffer, sizeof(buffer), 0);
      if (got <= 0) return text;
      text.append(buffer, static_cast<size_t>(got));
    }
  }

 private:
  const int socket_;
  bool connected_ = false;
};

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_HTTP_CLIENT_CONNECTION_H_
