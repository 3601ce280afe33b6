// Predicts and labels for CALSERVE_SOAK_SECONDS (default 300) and holds the server's memory to what it should
// keep.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"

namespace calserve::e2e {
namespace {

absl::Duration SoakTime() {
  const char* seconds = std::getenv("CALSERVE_SOAK_SECONDS");
  return absl::Seconds(seconds != nullptr ? std::atoi(seconds) : 300);
}

TEST(SoakTest, MemoryStaysFlatUnderSteadyPredictionsAndLabels) {
  const TempDir dir;
  ServerFlags flags;
  flags.data_dir = dir.path();
  ServerProcess server(flags);
  ASSERT_TRUE(server.WaitUntilServing()) << server.log();
  const absl::Time start = absl::Now();
  const absl::Time end = start + SoakTime();

  std::vector<std::jthread> callers;
  std::vector<int64_t> labelled(3, 0);
  for (size_t caller = 0; caller < labelled.size(); ++caller) {
    callers.emplace_back([&, caller] {
      const Api api(server.address());
      for (int begin = 1000 * static_cast<int>(caller); absl::Now() < end; begin = (begin + 32) % 10'000) {
        const std::vector<Labelled> predictions = PredictTestImages(api, begin, 32);
        Label(api, predictions);
        labelled[caller] += static_cast<int64_t>(predictions.size());
        absl::SleepFor(absl::Milliseconds(20));  // some 80 % of what two cores can do
      }
    });
  }
  // What a server needs it has after a fifth of the time: threads, caches of LibTorch, SQLite's pages.
  absl::SleepFor(SoakTime() / 5);
  const int64_t warm_kb = server.StatusKilobytes("VmRSS");
  callers.clear();
  const int64_t end_kb = server.StatusKilobytes("VmRSS");
  int64_t labels = 0;
  for (const int64_t count : labelled) labels += count;
  // A windowed label takes 32 bytes, and a ring that doubles holds twice as much for a moment.
  const int64_t windows_kb = 2 * 32 * labels / 1024;
  std::cout << "labels " << labels << ", resident " << warm_kb << " kB to " << end_kb << " kB\n";
  EXPECT_GT(labels, 0);
  EXPECT_LE(end_kb - warm_kb, windows_kb + 16 * 1024);
  server.Signal(SIGTERM);
  EXPECT_EQ(server.WaitForExit(absl::Seconds(40)), 0) << server.log();
}

}  // namespace
}  // namespace calserve::e2e
