#include "server/batching/service_times.h"

#include <cmath>
#include <cstddef>

namespace calserve {
namespace {

constexpr double kWeight = 0.2;  // of a batch in the averages

}  // namespace

ServiceTimes::ServiceTimes(int max_batch_size) : average_(max_batch_size + 1), measured_(max_batch_size + 1) {}

void ServiceTimes::Observe(int rows, absl::Duration ran) {
  typical_ = typical_ == absl::ZeroDuration() ? ran : typical_ + (ran - typical_) * kWeight;
  if (measured_[rows] != rows) {
    average_[rows] = ran;
    for (size_t n = rows; n < measured_.size() && measured_[n] < rows; ++n) measured_[n] = rows;
    return;
  }
  const double off = absl::FDivDuration(ran - average_[rows], average_[rows]);
  if (std::isfinite(off)) spread_ += (std::abs(off) - spread_) * kWeight;
  average_[rows] += (ran - average_[rows]) * kWeight;
}

absl::Duration ServiceTimes::Expected(int rows) const { return average_[measured_[rows]]; }

}  // namespace calserve
