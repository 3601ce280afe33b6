#ifndef CALSERVE_SERVER_BASE_RUN_PROGRAM_H_
#define CALSERVE_SERVER_BASE_RUN_PROGRAM_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace calserve {

// How a program ended.
struct ProgramEnd {
  enum class How {
    kExited,
    kKilled,    // by a signal that is not from here
    kTimedOut,  // and was killed
    kStopped,   // by `stop`, and was killed
  };
  How how = How::kExited;
  int code = 0;  // its exit status, or the signal that ended it
  // The ends of what it wrote to stdout and to stderr, some kilobytes at most.
  std::string output, last_words;
};

// Runs `path` with `arguments`, the first of which is its name, to its end; with this process's environment
// and working directory (where that is gone, /), the priority of the calling thread, nothing to read, and
// none of its open files. Where memory is short it is the first to be ended. It is killed, with what it
// started, after `timeout` or once `stop`, which is asked every 20 ms, is true; one that the kernel does not
// let go, as where its file system is away, is left after some seconds. UNAVAILABLE where it cannot be
// started or waited for. Thread-safe.
absl::StatusOr<ProgramEnd> RunProgram(const std::string& path, const std::vector<std::string>& arguments,
                                      absl::Duration timeout, const std::function<bool()>& stop);

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_RUN_PROGRAM_H_
