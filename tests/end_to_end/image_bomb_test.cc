// A PNG of 124 kB that would decode to 1 billion pixels is refused from its header: at once and in little
// memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <thread>

#include "absl/time/clock.h"
#include "tests/end_to_end/api.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/end_to_end/test_images.h"

namespace calserve::e2e {
namespace {

using ::testing::HasSubstr;

// The most memory that a process held while it was watched, in kB.
class PeakMemory {
 public:
  explicit PeakMemory(const ChildProcess& process) : process_(process) {
    std::ofstream("/proc/" + std::to_string(process.pid()) + "/clear_refs") << 5;  // VmHWM := VmRSS
    before_ = process.StatusKilobytes("VmHWM");
  }
  int64_t Growth() const { return process_.StatusKilobytes("VmHWM") - before_; }

 private:
  const ChildProcess& process_;
  int64_t before_ = 0;
};

TEST(ImageBombTest, IsRefusedInUnder50MillisecondsWithin64Megabytes) {
  const std::string bomb = BlackPng(32'000);
  ASSERT_NEAR(bomb.size(), 124'500, 500);
  const TempDir data_dir;
  ServerProcess server({.data_dir = data_dir.path()});
  ASSERT_TRUE(server.WaitUntilServing()) << server.log();
  const Api api(server.address());
  ASSERT_TRUE(api.Predict(ImageRequest({TestImages::Get().Png(0)})).ok());

  const PeakMemory memory(server);
  absl::Duration fastest = absl::InfiniteDuration();
  for (int attempt = 0; attempt < 5; ++attempt) {
    const absl::Time start = absl::Now();
    const CallStatus status = api.Predict(ImageRequest({bomb})).status;
    fastest = std::min(fastest, absl::Now() - start);
    ASSERT_EQ(status.code, absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(status.message, HasSubstr("inputs[0]"));
    EXPECT_THAT(status.message, HasSubstr("32000"));
  }
  // The whole call, with the way there and back; the fastest, since the machine has other work too.
  EXPECT_LT(fastest, absl::Milliseconds(50));
  EXPECT_LT(memory.Growth(), 64 * 1024);
  RecordProperty("milliseconds", std::to_string(absl::ToDoubleMilliseconds(fastest)));
  RecordProperty("growth_kb", std::to_string(memory.Growth()));

  // A whole batch of them, at once, on every decoder.
  const CallStatus status = api.Predict(ImageRequest(std::vector<std::string>(32, bomb))).status;
  EXPECT_EQ(status.code, absl::StatusCode::kInvalidArgument) << status;
  EXPECT_LT(memory.Growth(), 64 * 1024);
}

}  // namespace
}  // namespace calserve::e2e
