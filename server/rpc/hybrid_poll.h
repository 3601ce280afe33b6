#ifndef CALSERVE_SERVER_RPC_HYBRID_POLL_H_
#define CALSERVE_SERVER_RPC_HYBRID_POLL_H_

#include <algorithm>

#include "absl/time/time.h"

namespace calserve {

// How long a thread that polls for the next event may sleep first: for as long as 19 of 20 earlier waits
// stayed quiet, less what sleeping takes longer than it was asked to. (Linux polled disks so: hybrid polling,
// which slept for half of the mean.) Not thread-safe: one for each thread.
class HybridPoll final {
 public:
  // What is asked for at most. An event is noticed so much later in the worst case, and by what the sleep
  // takes too long.
  static constexpr absl::Duration kLongestNap = absl::Microseconds(200);

  // How long to sleep in a wait that begins now; zero: not at all.
  absl::Duration Nap() const { return std::clamp(quiet_ - overslept_, absl::ZeroDuration(), kLongestNap); }
  // A nap took so much longer than it was asked to.
  void Overslept(absl::Duration by) { Follow(overslept_, by > overslept_, 0.5); }
  // A wait is over, which was quiet for so long: until an event came; InfiniteDuration: none came; zero: one
  // was there when the nap ended.
  void Waited(absl::Duration quiet) {
    Follow(quiet_, quiet > quiet_, 0.05);
    // Only naps show how late they end, and they may have become less late since the last one.
    if (Nap() == absl::ZeroDuration()) overslept_ *= 0.999;
  }

 private:
  static constexpr absl::Duration kShortest = absl::Microseconds(1), kLongest = absl::Microseconds(500);
  static constexpr double kStep = 0.2;

  // Moves `quantile`, below which a share `q` lies, by one more: whether that was larger. (Stochastic
  // approximation, as of Robbins and Monro, of the logarithm: a step never depends on how much larger, so
  // that one wild value does no harm.)
  static void Follow(absl::Duration& quantile, bool larger, double q) {
    quantile = std::clamp(quantile * (larger ? 1 + kStep * q : 1 - kStep * (1 - q)), kShortest, kLongest);
  }

  // Until more was seen: what a sleep takes too long on a virtual machine, and so no nap.
  absl::Duration quiet_ = absl::Microseconds(50);
  absl::Duration overslept_ = absl::Microseconds(50);
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_HYBRID_POLL_H_
