#include "server/batching/instance_states.h"

#include <algorithm>

namespace calserve {

std::optional<int> InstanceStates::FirstIdle() const {
  const auto first = std::find_if(instances_.begin(), instances_.end(),
                                  [](const Instance& one) { return one.state == State::kIdle; });
  if (first == instances_.end()) return std::nullopt;
  return static_cast<int>(first - instances_.begin());
}

BusyTimes InstanceStates::BusyFor(absl::Time now) const {
  BusyTimes busy_for;
  busy_for.reserve(instances_.size());
  for (const Instance& instance : instances_)
    busy_for.push_back(std::max(instance.busy_until - now, absl::ZeroDuration()));
  return busy_for;
}

void InstanceStates::Began(int instance, absl::Time now, absl::Duration ran) {
  absl::Time& busy_until = instances_[instance].busy_until;
  busy_until = std::max(busy_until, now) + ran;
}

void InstanceStates::Finished(int instance, absl::Time now, absl::Duration rest) {
  instances_[instance].busy_until = now + rest;
}

void InstanceStates::Become(int instance, State state) {
  State& own = instances_[instance].state;
  idle_ += (state == State::kIdle ? 1 : 0) - (own == State::kIdle ? 1 : 0);
  own = state;
}

}  // namespace calserve
