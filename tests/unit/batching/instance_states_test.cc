#include "server/batching/instance_states.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace calserve {
namespace {

using ::testing::ElementsAre;

constexpr absl::Duration kSecond = absl::Seconds(1);

TEST(InstanceStatesTest, AnIdleInstanceHasNoTurnBeforeOneThatWaitsForIts) {
  const absl::Time now = absl::UnixEpoch();
  InstanceStates states(3);
  states.BeginWait(0);
  states.Began(1, now, 3 * kSecond);
  EXPECT_THAT(states.BusyFor(now), ElementsAre(0 * kSecond, 3 * kSecond, 0 * kSecond));
  states.BeginTurnWait(2, now, 10 * kSecond);
  EXPECT_THAT(states.BusyFor(now), ElementsAre(10 * kSecond, 3 * kSecond, 10 * kSecond));
  EXPECT_THAT(states.BusyFor(now + 4 * kSecond), ElementsAre(6 * kSecond, 0 * kSecond, 6 * kSecond));
  states.EndTurnWait(2, now + 4 * kSecond);
  EXPECT_THAT(states.BusyFor(now + 4 * kSecond), ElementsAre(0 * kSecond, 0 * kSecond, 0 * kSecond));
}

}  // namespace
}  // namespace calserve
