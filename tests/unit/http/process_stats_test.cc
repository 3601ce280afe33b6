#include "server/http/process_stats.h"

#include <fcntl.h>
#include <unistd.h>

#include <vector>

#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace calserve {
namespace {

TEST(ProcessStatsTest, CountsWhatThisProcessHolds) {
  const ProcessStats before = ReadProcessStats();
  const int opened = open("/dev/null", O_RDONLY);
  ASSERT_GE(opened, 0);
  std::vector<char> memory(64 << 20, 1);
  const ProcessStats after = ReadProcessStats();
  close(opened);
  EXPECT_EQ(after.open_fds, before.open_fds + 1);
  EXPECT_GE(after.max_fds, after.open_fds);
  EXPECT_GE(after.resident_bytes - before.resident_bytes, (48 << 20) + memory[0]);
  EXPECT_GE(after.virtual_bytes, after.resident_bytes);
}

TEST(ProcessStatsTest, CountsCpuTimeThatWasSpent) {
  const double before = ReadProcessStats().cpu_seconds;
  while (ReadProcessStats().cpu_seconds < before + 0.02) {
  }
  EXPECT_LT(ReadProcessStats().cpu_seconds, before + 5);
}

TEST(ProcessStatsTest, StartedALittleWhileAgo) {
  const double age =
      absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()) - ReadProcessStats().start_time_seconds;
  EXPECT_GT(age, -2);  // The kernel says when it booted in whole seconds.
  EXPECT_LT(age, 300);
}

}  // namespace
}  // namespace calserve
