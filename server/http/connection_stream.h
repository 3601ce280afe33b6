#ifndef CALSERVE_SERVER_HTTP_CONNECTION_STREAM_H_
#define CALSERVE_SERVER_HTTP_CONNECTION_STREAM_H_

#include <httplib.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <string>

#include "absl/time/time.h"

namespace calserve {

// An accepted connection with an end: all of it, reading and writing together, is over after `limit`, and no
// more than `max_read` bytes are read. cpp-httplib's own timeouts are of each read: a client that sends a
// byte now and then would keep a thread for as long as it likes. Once `stopping` it waits for nothing more.
// An answer that goes on for as long as it is read has each write limited instead. Closes the socket at
// destruction. Not thread-safe.
class ConnectionStream final : public httplib::Stream {
 public:
  // Takes `socket`.
  ConnectionStream(int socket, absl::Duration limit, size_t max_read, const std::atomic<bool>& stopping);
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
  int socket() const override { return socket_; }

  // From now on `limit` is of each write by itself, and is_writable is false once the client is gone, which a
  // client that only ended its own side is taken for.
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

  const int socket_;
  const absl::Duration limit_;
  const absl::Duration deadline_;  // steady time
  bool each_write_ = false;
  size_t may_read_;                // from the socket
  std::array<char, 4096> buffer_;  // cpp-httplib reads headers byte by byte
  size_t begin_ = 0, end_ = 0;     // of what is in it
  const std::atomic<bool>& stopping_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_CONNECTION_STREAM_H_
