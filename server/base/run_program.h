#ifndef CALSERVE_SERVER_BASE_RUN_PROGRAM_H_
#define CALSERVE_SERVER_BASE_RUN_PROGRAM_H_

#include <stop_token>
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
    kStopped,   // by the token, and was killed
  };
  How how = How::kExited;
  int code = 0;            // its exit status, or the signal that ended it
  std::string last_words;  // the end of what it wrote to stderr, some kilobytes at most
};

// Runs `path` with `arguments`, the first of which is its name, to its end; with this process's environment
// and working directory, the priority of the calling thread, nothing to read, and none of its open files. It
// is killed, with what it started, after `timeout` or once `stop` is requested, within some 20 ms.
// UNAVAILABLE where it cannot be started or waited for. Thread-safe.
absl::StatusOr<ProgramEnd> RunProgram(const std::string& path, const std::vector<std::string>& arguments,
                                      absl::Duration timeout, const std::stop_token& stop);

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_RUN_PROGRAM_H_
