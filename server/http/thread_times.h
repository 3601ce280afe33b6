#ifndef CALSERVE_SERVER_HTTP_THREAD_TIMES_H_
#define CALSERVE_SERVER_HTTP_THREAD_TIMES_H_

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "server/base/mutex.h"

namespace calserve {

// What a thread of this name is for: "instance" (forward passes, LibTorch's helper threads included),
// "decode", "grpc" or "other".
std::string ThreadGroup(absl::string_view name);

// CPU time of threads by their groups, out of looks at the threads that there are. Never less than before:
// what a thread took counts for the group that it is seen in next, and stays when it has ended. What it takes
// between the last look and its end is in none.
class ThreadTotals final {
 public:
  struct Thread {
    std::string group;
    double seconds = 0;  // since it started
  };

  ThreadTotals();

  // `now`: the threads that were found, by their ids. A look may miss some: `lives` is asked of each that was
  // there before.
  void Add(std::map<pid_t, Thread> now, const std::function<bool(pid_t)>& lives);
  // Seconds of every group.
  const std::map<std::string, double>& seconds() const { return seconds_; }

 private:
  std::map<pid_t, Thread> threads_;  // as they were last seen
  std::map<std::string, double> seconds_;
};

// Those of this process, user and system. Thread-safe.
class ThreadTimes final {
 public:
  // Reads two small files of /proc for each thread. Empty where the kernel keeps no times of threads
  // (CONFIG_SCHED_INFO).
  std::map<std::string, double> Read() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  Mutex mu_;
  ThreadTotals totals_ ABSL_GUARDED_BY(mu_);
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_THREAD_TIMES_H_
