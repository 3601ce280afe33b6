#ifndef CALSERVE_SERVER_HTTP_CONNECTION_STREAM_H_
#define CALSERVE_SERVER_HTTP_CONNECTION_STREAM_H_

#include <httplib.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <string>

#include "absl/time/time.h"
#include "server/http/crowd.h"
#include "server/http/peer_address.h"

namespace calserve {

// What one connection may take.
struct ConnectionLimits {
  absl::Duration head;   // until the request's head has been read, a handshake before it included
  absl::Duration whole;  // until the answer has been written; of a stream of events, each write by itself
  size_t read_bytes = 0;
};

// An accepted connection with an end. cpp-httplib's own timeouts are of each read: a client that sends a byte
// now and then would keep a thread for as long as it likes. Once `stopping` it waits for nothing more. While
// it waits for its client it may have to give way (crowd.h). Closes the socket at destruction. Not
// thread-safe.
class ConnectionStream final : public httplib::Stream {
 public:
  // Takes `socket`. `crowd` and `stopping` outlive it.
  ConnectionStream(int socket, const ConnectionLimits& limits, Crowd& crowd,
                   const std::atomic<bool>& stopping);
  ~ConnectionStream() override;
  ConnectionStream(const ConnectionStream&) = delete;
  ConnectionStream& operator=(const ConnectionStream&) = delete;

  // -1 at the end, and once the deadline or the limit has passed.
  ssize_t read(char* to, size_t size) override;
  ssize_t write(const char* from, size_t size) override;
  using httplib::Stream::write;
  bool is_readable() const override;
  bool is_writable() const override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  int socket() const override { return socket_.fd; }

  // The request's head has been read: it does not give way until its answer is written.
  void HeadIsRead();
  // From now on limits.whole is of each write by itself, it never gives way, and is_writable is false once
  // the client is gone, which a client that only ended its own side is taken for.
  void LimitEachWrite() { each_write_ = true; }

  // Says that nothing more is written, and reads what the client still sends, for `linger` at most: closing
  // with bytes unread would reset the connection, and the client might lose the answer.
  void FinishWriting(absl::Duration linger);

 private:
  // What came next from the socket, into buffer_; false at the end, the deadline or the limit.
  bool Fill();
  // Whether `events` (POLLIN, POLLOUT) came before `until`.
  bool WaitFor(short events, absl::Duration until) const;
  // Until when a write that begins now may take.
  absl::Duration WriteDeadline() const;
  bool ClientIsGone() const;

  // Closed once the crowd knows it no more.
  struct Socket {
    explicit Socket(int of) : fd(of) {}
    ~Socket();
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    const int fd;
  };

  const Socket socket_;
  const ConnectionLimits limits_;
  const absl::Duration started_;  // steady time
  absl::Duration deadline_;       // steady time
  mutable Crowd::Place place_;    // is_readable waits too, and httplib has it const
  bool each_write_ = false;
  size_t may_read_;                // from the socket
  std::array<char, 4096> buffer_;  // cpp-httplib reads headers byte by byte
  size_t begin_ = 0, end_ = 0;     // of what is in it
  const std::atomic<bool>& stopping_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_CONNECTION_STREAM_H_
