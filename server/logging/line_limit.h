#ifndef CALSERVE_SERVER_LOGGING_LINE_LIMIT_H_
#define CALSERVE_SERVER_LOGGING_LINE_LIMIT_H_

#include <cstdint>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "server/base/mutex.h"

namespace calserve {

// Lets so many lines a second through and counts the others, so that what a client can cause does not fill
// the log. Thread-safe.
class LineLimit final {
 public:
  explicit LineLimit(int lines_a_second) : lines_(lines_a_second) {}

  // nullopt: leave this line out. Else log it, with the number of those left out since the last.
  std::optional<int64_t> Take(absl::Time now);

 private:
  const int lines_;
  Mutex mu_;
  int64_t second_ ABSL_GUARDED_BY(mu_) = 0;
  int taken_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t left_out_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_LOGGING_LINE_LIMIT_H_
