#include "server/base/gathered_writes.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <algorithm>
#include <cerrno>

#include "server/base/next_symbol.h"

namespace calserve {
namespace {

// Of the calling thread. A plain value: it is there whenever sendmsg is called, also while a thread ends.
struct Gathering {
  static constexpr int kSockets = 32;  // What is sent on others meanwhile goes at once.

  bool on = false;
  int writes = 0;
  int sockets = 0;
  int socket[kSockets] = {};

  // Whether what is sent on `fd` will be flushed.
  bool Take(int fd) {
    ++writes;
    if (std::find(socket, socket + sockets, fd) != socket + sockets) return true;
    if (sockets == kSockets) return false;
    socket[sockets++] = fd;
    return true;
  }
};

thread_local constinit Gathering gathering;

// Setting TCP_NODELAY sends what waits, also where it is set already (tcp(7)); gRPC sets it on every socket.
// Another thread may have closed the socket, and its number may be another file's now: then this fails, or
// sets what is set.
void Flush(int fd) {
  constexpr int kOn = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof kOn);
}

using Sendmsg = ssize_t(int, const msghdr*, int);

}  // namespace

GatheredWrites::GatheredWrites() { gathering = {.on = true}; }

GatheredWrites::~GatheredWrites() {
  gathering.on = false;
  const int error = errno;
  std::for_each(gathering.socket, gathering.socket + gathering.sockets, Flush);
  errno = error;
}

int GatheredWrites::writes() const { return gathering.writes; }

}  // namespace calserve

// Found before libc's by a program that links this, and by every library that it loads.
extern "C" ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  static auto* const sendmsg_of_libc = calserve::NextFunction<calserve::Sendmsg>("sendmsg");
  const bool held = calserve::gathering.on && calserve::gathering.Take(fd);
  return sendmsg_of_libc(fd, message, held ? flags | MSG_MORE : flags);
}
