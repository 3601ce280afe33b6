#include "server/monitoring_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/logging/captured_log.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class MonitoringLogTest : public ::testing::Test {
 protected:
  // What is said of a state.
  std::string Told(const MonitorState& state) {
    captured_.Clear();
    log_.Tell(state);
    return captured_.text();
  }

 private:
  CapturedLog captured_;
  MonitoringLog log_;
};

TEST_F(MonitoringLogTest, WhatFailsIsSaidOnceAndSoIsThatItWorksAgain) {
  MonitorState state;
  EXPECT_THAT(Told(state), IsEmpty());
  state.log = absl::DataLossError("row 3 is damaged");
  EXPECT_THAT(Told(state), HasSubstr("[error] monitoring fails"));
  state.log = absl::DataLossError("row 3 is damaged, still");
  EXPECT_THAT(Told(state), IsEmpty());
  state.checkpoint = absl::UnavailableError("disk full");
  EXPECT_THAT(Told(state), HasSubstr("[error] monitoring fails"));
  state.log = absl::OkStatus();
  EXPECT_THAT(Told(state), AllOf(HasSubstr("[info] monitoring works again"), Not(HasSubstr("error"))));
  EXPECT_THAT(Told(state), IsEmpty());
}

TEST_F(MonitoringLogTest, ACheckpointThatIsNotUsedIsSaidAtTheStart) {
  MonitorState state;
  state.restored = absl::DataLossError("of other windows");
  EXPECT_THAT(Told(state), HasSubstr("the monitoring checkpoint is not used"));
  EXPECT_THAT(Told(state), IsEmpty());
}

TEST_F(MonitoringLogTest, WhatIsDroppedOrSkippedIsSaidAsItGrows) {
  MonitorState state;
  state.dropped_keys = 2;
  EXPECT_THAT(Told(state), HasSubstr("made room for others"));
  EXPECT_THAT(Told(state), IsEmpty());
  state.skipped = 1;
  EXPECT_THAT(Told(state), AllOf(HasSubstr("labels are in no window"), Not(HasSubstr("made room"))));
  state.dropped_keys = state.skipped = 3;
  EXPECT_THAT(Told(state), AllOf(HasSubstr("labels are in no window"), HasSubstr("made room")));
}

}  // namespace
}  // namespace calserve
