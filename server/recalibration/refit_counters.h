#ifndef CALSERVE_SERVER_RECALIBRATION_REFIT_COUNTERS_H_
#define CALSERVE_SERVER_RECALIBRATION_REFIT_COUNTERS_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "server/base/mutex.h"

namespace calserve {

// What became of attempts since the start, by how they ended: a row of a counter.
struct RefitCounters {
  int64_t activated = 0, rolled_back = 0, kept = 0, superseded = 0, failed = 0;
  std::string last;  // the name of the one that was counted last; empty before the first
};

// Those of every model version. Thread-safe.
class RefitCounts final {
 public:
  using Version = std::pair<std::string, int64_t>;  // of a model

  // Has counters from 0, so that the first attempt is seen as an increase.
  void Show(const Version& of) {
    MutexLock lock(&mu_);
    counts_.try_emplace(of);
  }
  // `outcome` is one of RefitCounters', and `name` its name.
  void Count(const Version& of, int64_t RefitCounters::*outcome, const char* name) {
    MutexLock lock(&mu_);
    RefitCounters& counters = counts_[of];
    ++(counters.*outcome);
    counters.last = name;
  }
  // Where nothing is refitted any more, how the last attempt ended is nothing to alert on.
  void ForgetLast(const Version& of) {
    MutexLock lock(&mu_);
    if (const auto counted = counts_.find(of); counted != counts_.end()) counted->second.last.clear();
  }
  std::map<Version, RefitCounters> All() const {
    MutexLock lock(&mu_);
    return counts_;
  }

 private:
  mutable Mutex mu_;
  std::map<Version, RefitCounters> counts_ ABSL_GUARDED_BY(mu_);
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RECALIBRATION_REFIT_COUNTERS_H_
