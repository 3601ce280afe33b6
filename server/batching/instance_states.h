#ifndef CALSERVE_SERVER_BATCHING_INSTANCE_STATES_H_
#define CALSERVE_SERVER_BATCHING_INSTANCE_STATES_H_

#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "server/batching/batch_policy.h"

namespace calserve {

// What each instance of a batcher does, and until when it is expected to. An instance is busy until its
// thread waits for work; then it is idle, and may be lent to a thread that runs a batch in its place. Where
// batchers take turns on the device, times are until its next batch may begin: its turn is part of them. Not
// thread-safe: the batcher's lock guards it.
class InstanceStates {
 public:
  explicit InstanceStates(int instances) : instances_(instances) {}

  int idle() const { return idle_; }
  std::optional<int> FirstIdle() const;
  bool lent(int instance) const { return instances_[instance].state == State::kLent; }
  // Of all, from `now`, in no order. An idle one has no turn before one that waits for its own.
  BusyTimes BusyFor(absl::Time now) const;
  // How long the batch has run that has run longest, of those under way; zero: there is none.
  absl::Duration LongestRun(absl::Time now) const;

  // By the instance's thread: BeginWait while it is busy, EndWait while it is not lent.
  void BeginWait(int instance) { Become(instance, State::kIdle); }
  void EndWait(int instance) { Become(instance, State::kBusy); }
  // Of an idle one.
  void Lend(int instance) { Become(instance, State::kLent); }
  void TakeBack(int instance) { Become(instance, State::kIdle); }

  // It waits for its turn, for `wait` as far as can be told; then it has it.
  void BeginTurnWait(int instance, absl::Time now, absl::Duration wait);
  void EndTurnWait(int instance, absl::Time now);
  // It was given a batch that is expected to take `ran`, after what it was given before.
  void Began(int instance, absl::Time now, absl::Duration ran);
  // The oldest of its batches is done, and the rest is expected to take `rest`; zero: it has no other.
  void Finished(int instance, absl::Time now, absl::Duration rest);

 private:
  enum class State { kBusy, kIdle, kLent };
  struct Instance {
    State state = State::kBusy;
    bool awaits_turn = false;
    absl::Time busy_until = absl::InfinitePast();
    absl::Time runs_since = absl::InfiniteFuture();  // the oldest of its batches; none: InfiniteFuture
  };

  void Become(int instance, State state);

  std::vector<Instance> instances_;
  int idle_ = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BATCHING_INSTANCE_STATES_H_
