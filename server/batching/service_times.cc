#include "server/batching/service_times.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace calserve {
namespace {

// What a batch counts as at most, times what was expected: one that something held up says little of the
// next.
constexpr double kMostOfExpected = 4;

}  // namespace

ServiceTimes::ServiceTimes(int max_batch_size)
    : average_(max_batch_size + 1), measured_(max_batch_size + 1) {}

void ServiceTimes::Observe(int rows, absl::Duration ran) {
  typical_ = typical_ == absl::ZeroDuration() ? ran : typical_ + (ran - typical_) * kWeight;
  if (measured_[rows] != rows) {
    average_[rows] = ran;
    for (size_t n = rows; n < measured_.size() && measured_[n] < rows; ++n) measured_[n] = rows;
    return;
  }
  absl::Duration& average = average_[rows];
  if (average > absl::ZeroDuration()) {
    ran = std::min(ran, average * kMostOfExpected);
    const double off = std::min(1.0, std::abs(absl::FDivDuration(ran - average, average)));
    spread_ += (off - spread_) * kWeight;
  }
  average += (ran - average) * kWeight;
}

absl::Duration ServiceTimes::Expected(int rows) const { return average_[measured_[rows]]; }

absl::Duration ServiceTimes::AtMost(int rows) const {
  const int measured = measured_[rows];
  return measured == 0 ? absl::InfiniteDuration() : average_[measured] * rows / measured;
}

}  // namespace calserve
