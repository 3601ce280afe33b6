#include "server/monitoring_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <sstream>
#include <string>
#include <utility>

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class MonitoringLogTest : public ::testing::Test {
 protected:
  MonitoringLogTest() : before_(spdlog::default_logger()) {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(out_);
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("", std::move(sink)));
  }
  ~MonitoringLogTest() override { spdlog::set_default_logger(before_); }

  // What is said of a state.
  std::string Told(const MonitorState& state) {
    out_.str("");
    log_.Tell(state);
    return out_.str();
  }

 private:
  const std::shared_ptr<spdlog::logger> before_;
  std::ostringstream out_;
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
