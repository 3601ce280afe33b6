#include "server/base/accepting.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "absl/base/thread_annotations.h"
#include "server/base/mutex.h"
#include "server/base/next_symbol.h"

namespace calserve {
namespace {

using Accept4 = int(int, sockaddr*, socklen_t*, int);

// A connection takes some 20 KB: beyond this memory would be the limit.
constexpr rlim_t kMostOpenFiles = 65'536;

std::atomic<int64_t> turned_away{0};

// The file that is given up for a connection that is to be turned away.
class Spare {
 public:
  // Never destroyed; the first call opens the file.
  static Spare& Instance() {
    static Spare* const spare = new Spare;
    return *spare;
  }

  // False where there is none to be turned away, or no file for it.
  bool TurnAway(int listener, Accept4* accept4_of_libc) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(&mu_);
    if (file_ >= 0) close(file_);
    const int connection = accept4_of_libc(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection >= 0) close(connection);
    Open();
    return connection >= 0;
  }
  // Another thread may have been given the file that was given up: there is one again now.
  void Refill() ABSL_LOCKS_EXCLUDED(mu_) {
    if (!missing_.load(std::memory_order_relaxed)) return;
    MutexLock lock(&mu_);
    if (file_ < 0) Open();
  }

 private:
  Spare() {
    MutexLock lock(&mu_);
    Open();
  }
  void Open() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    file_ = open("/dev/null", O_RDONLY | O_CLOEXEC);
    missing_.store(file_ < 0, std::memory_order_relaxed);
  }

  Mutex mu_;
  int file_ ABSL_GUARDED_BY(mu_) = -1;
  std::atomic<bool> missing_{false};
};

// See accept(2), "Error handling".
bool IsOfTheConnection(int error) {
  switch (error) {
    case ECONNABORTED:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case EPERM:  // of a firewall
    case EPROTO:
      return true;
    default:
      return false;
  }
}

int Accept(int listener, sockaddr* address, socklen_t* length, int flags, Accept4* accept4_of_libc) {
  Spare& spare = Spare::Instance();
  // Turned away or passed over; of the latter an error may be the listener's own.
  constexpr int kAtATime = 256;
  for (int i = 0; i < kAtATime; ++i) {
    const int connection = accept4_of_libc(listener, address, length, flags);
    if (connection >= 0) {
      spare.Refill();
      return connection;
    }
    if (errno == EMFILE || errno == ENFILE) {
      if (!spare.TurnAway(listener, accept4_of_libc)) break;
      turned_away.fetch_add(1, std::memory_order_relaxed);
    } else if (errno == ENOBUFS || errno == ENOMEM) {
      break;
    } else if (!IsOfTheConnection(errno)) {
      return -1;
    }
  }
  errno = EAGAIN;  // The next connection wakes whoever listens.
  return -1;
}

}  // namespace

int64_t ConnectionsTurnedAway() { return turned_away.load(std::memory_order_relaxed); }

void RaiseOpenFileLimit() {
  Spare::Instance();
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = std::max(limit.rlim_cur, std::min(limit.rlim_max, kMostOpenFiles));
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace calserve

// Found before libc's by a program that links this, and by every library that it loads.
extern "C" int accept4(int listener, sockaddr* address, socklen_t* length, int flags) {
  static auto* const accept4_of_libc = calserve::NextFunction<calserve::Accept4>("accept4");
  return calserve::Accept(listener, address, length, flags, accept4_of_libc);
}
