#ifndef CALSERVE_SERVER_RPC_HYBRID_POLL_H_
#define CALSERVE_SERVER_RPC_HYBRID_POLL_H_

#include <algorithm>

#include "absl/time/time.h"

namespace calserve {

// When a thread that polls for the next event may sleep first: for as long as 19 of 20 waits before were
// quiet, by what was seen of them, less what sleeping takes longer than it was asked to. (Linux polls disks
// so: hybrid polling, which sleeps for half of the mean.) A value; of one thread.
class HybridPoll final {
 public:
  static constexpr absl::Duration kLongestNap = absl::Microseconds(200);  // what an event may come too early

  // How long to sleep in a wait that begins now; zero: not at all.
  absl::Duration Nap() const {
    return std::clamp(absl::Microseconds(quiet_ - overslept_), absl::ZeroDuration(), kLongestNap);
  }
  // A nap of `asked` took `took`.
  void Napped(absl::Duration asked, absl::Duration took) {
    Follow(overslept_, absl::ToDoubleMicroseconds(took - asked) > overslept_, 0.5);
  }
  // A wait is over, `after` it began: an event came; where there was a nap, since it ended or, `in_nap`,
  // before.
  void Waited(absl::Duration after, bool in_nap) {
    Follow(quiet_, !in_nap && absl::ToDoubleMicroseconds(after) > quiet_, 0.05);
  }

 private:
  static constexpr double kShortest = 1, kLongest = 1000;  // µs
  static constexpr double kStep = 0.2;

  // Moves `quantile`, of which a share `q` is less, by what was seen: whether one more was larger.
  // (Stochastic approximation, as of Robbins and Monro, of the logarithm: a step never depends on how much
  // larger, so that one wild value does no harm.)
  static void Follow(double& quantile, bool larger, double q) {
    quantile = std::clamp(quantile * (larger ? 1 + kStep * q : 1 - kStep * (1 - q)), kShortest, kLongest);
  }

  // Both in µs. Until more was seen: what a sleep takes too long on a virtual machine, and so no nap.
  double quiet_ = 50;
  double overslept_ = 50;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_HYBRID_POLL_H_
