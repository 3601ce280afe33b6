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
  absl::Time next_turn = absl::InfiniteFuture();
  for (const Instance& instance : instances_) {
    if (instance.awaits_turn) next_turn = std::min(next_turn, instance.busy_until);
  }
  BusyTimes busy_for;
  busy_for.reserve(instances_.size());
  for (const Instance& instance : instances_) {
    const bool after_it = instance.state == State::kIdle && next_turn != absl::InfiniteFuture();
    const absl::Time until = after_it ? std::max(instance.busy_until, next_turn) : instance.busy_until;
    busy_for.push_back(std::max(until - now, absl::ZeroDuration()));
  }
  return busy_for;
}

absl::Duration InstanceStates::LongestRun(absl::Time now) const {
  absl::Duration longest;
  for (const Instance& instance : instances_) longest = std::max(longest, now - instance.runs_since);
  return longest;
}

void InstanceStates::BeginTurnWait(int instance, absl::Time now, absl::Duration wait) {
  instances_[instance].awaits_turn = true;
  instances_[instance].busy_until = now + wait;
}

void InstanceStates::EndTurnWait(int instance, absl::Time now) {
  instances_[instance].awaits_turn = false;
  instances_[instance].busy_until = now;
}

void InstanceStates::Began(int instance, absl::Time now, absl::Duration ran) {
  Instance& own = instances_[instance];
  own.busy_until = std::max(own.busy_until, now) + ran;
  own.runs_since = std::min(own.runs_since, now);
}

void InstanceStates::Finished(int instance, absl::Time now, absl::Duration rest) {
  instances_[instance].busy_until = now + rest;
  instances_[instance].runs_since = rest > absl::ZeroDuration() ? now : absl::InfiniteFuture();
}

void InstanceStates::Become(int instance, State state) {
  State& own = instances_[instance].state;
  idle_ += (state == State::kIdle ? 1 : 0) - (own == State::kIdle ? 1 : 0);
  own = state;
}

}  // namespace calserve
