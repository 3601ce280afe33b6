#include "server/logging/line_limit.h"

#include <utility>

namespace calserve {

std::optional<int64_t> LineLimit::Take(absl::Time now) {
  const int64_t second = absl::ToUnixSeconds(now);
  MutexLock lock(&mu_);
  if (second != second_) {
    second_ = second;
    taken_ = 0;
  }
  if (taken_ >= lines_) {
    ++left_out_;
    return std::nullopt;
  }
  ++taken_;
  return std::exchange(left_out_, 0);
}

}  // namespace calserve
