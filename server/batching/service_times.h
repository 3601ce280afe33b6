#ifndef CALSERVE_SERVER_BATCHING_SERVICE_TIMES_H_
#define CALSERVE_SERVER_BATCHING_SERVICE_TIMES_H_

#include <vector>

#include "absl/time/time.h"

namespace calserve {

// How long batches take, as measured: exponential moving averages (a new batch counts a fifth), one for each
// number of rows. Not thread-safe: the batcher's lock guards it.
class ServiceTimes {
 public:
  explicit ServiceTimes(int max_batch_size);

  // `rows` in [1, max_batch_size].
  void Observe(int rows, absl::Duration ran);

  // Of a batch of `rows` rows; of the largest measured one that is smaller where none of `rows` was: a low
  // estimate. Zero before the first.
  absl::Duration Expected(int rows) const;
  // A high estimate instead: as many times that of the smaller one as there are more rows. Infinite before
  // the first.
  absl::Duration AtMost(int rows) const;
  // Of a batch as they come; zero before the first.
  absl::Duration typical() const { return typical_; }
  // An instance waited so long for its turn on the device before a batch of its began; zero where it did not.
  void ObserveTurn(absl::Duration waited) { turn_wait_ += (waited - turn_wait_) * kWeight; }
  // What such a wait is expected to be.
  absl::Duration turn_wait() const { return turn_wait_; }
  // By what part of what was expected batches take longer or shorter: a mean absolute deviation, as the
  // retransmission timer of TCP uses it (RFC 6298).
  double spread() const { return spread_; }

 private:
  static constexpr double kWeight = 0.2;  // of a batch in the averages

  std::vector<absl::Duration> average_;  // of n rows at [n]
  std::vector<int> measured_;            // at [n] the largest measured number of rows up to n; 0: none
  absl::Duration typical_;
  absl::Duration turn_wait_;
  double spread_ = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BATCHING_SERVICE_TIMES_H_
