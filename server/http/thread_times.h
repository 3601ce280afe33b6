#ifndef CALSERVE_SERVER_HTTP_THREAD_TIMES_H_
#define CALSERVE_SERVER_HTTP_THREAD_TIMES_H_

#include <sys/types.h>

#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "server/base/mutex.h"

namespace calserve {

// CPU time of this process's threads by what they are for, told by their names: "instance" (forward passes,
// LibTorch's helper threads included), "decode", "grpc" and "other". Never less than the time before: what a
// thread had taken when it was last seen stays when it has ended; what it takes after that is in none.
// Thread-safe.
class ThreadTimes {
 public:
  // Seconds, user and system, of all four. Reads two small files of /proc for each thread; empty where the
  // kernel keeps no times of threads (CONFIG_SCHED_INFO).
  std::map<std::string, double> Read() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Thread {
    std::string group;
    double seconds = 0;
  };

  Mutex mu_;
  std::map<pid_t, Thread> threads_ ABSL_GUARDED_BY(mu_);  // as they were last seen
  std::map<std::string, double> ended_ ABSL_GUARDED_BY(mu_);
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_THREAD_TIMES_H_
