// How long a report waits while the checkpoint of 1,000,000 labels of one key is written to a SQLite store on
// the build directory's disk; and as long without one: what of it is the machine's.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "benchmark/benchmark.h"
#include "server/monitoring/calibration_monitor.h"
#include "tests/benchmarks/monitoring/synthetic_labels.h"
#include "tests/unit/feedback/forwarding_store.h"

namespace calserve {
namespace {

constexpr int64_t kLabels = 1'000'000;

// A store whose log is made up as it is read; checkpoints go on to the other.
class SyntheticLog final : public ForwardingStore {
 public:
  explicit SyntheticLog(Store& to) : ForwardingStore(to), row_(MakeRows(1, 2).front()) {}

  const ScoredLabel& row() const { return row_; }
  int64_t Grow(int64_t rows) { return end_ += rows; }

  absl::StatusOr<LogHead> Head() override { return LogHead{end_ + 1, kLogStart}; }
  absl::StatusOr<std::vector<ScoredLabel>> Read(const LogSelection& selection, int64_t limit) override {
    std::vector<ScoredLabel> rows(std::min(limit, end_ - selection.after_position), row_);
    int64_t position = selection.after_position;
    for (ScoredLabel& row : rows) {
      row.position = ++position;
      row.time = kLogStart + absl::Microseconds(100 * position);
    }
    return rows;
  }

 private:
  const ScoredLabel row_;
  std::atomic<int64_t> end_{0};
};

// The time is the longest that a report took, of each iteration.
void BM_LongestReport(benchmark::State& state, bool during_checkpoint) {
  std::string directory = std::string(CALSERVE_BINARY_DIR) + "/checkpoint-benchmark-XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) std::abort();
  absl::Duration longest_of_all, saving;
  {
    const auto store = *OpenStore({.data_dir = directory});
    SyntheticLog log(*store);
    MonitoringOptions options;
    options.windows = TenWindows();
    options.checkpoint_interval = absl::Hours(24);
    const auto monitor =
        *CalibrationMonitor::Create(options, log, Clock::System(), [](const std::string&, int64_t, int64_t) {
          return std::make_shared<const Calibrator>(Calibrator::None(2));
        });
    const MonitorKey key = KeyOf(log.row());
    const auto fold = [&](int64_t rows) {
      const int64_t end = log.Grow(rows);
      monitor->Notify();
      if (!monitor->WaitForPosition(end, absl::Minutes(5))) std::abort();
    };
    fold(kLabels);
    for (auto _ : state) {
      fold(1);
      std::atomic<bool> saved{false};
      std::jthread saver([&] {
        const absl::Time start = absl::Now();
        if (during_checkpoint) {
          if (!monitor->SaveCheckpoint().ok()) std::abort();
        } else {
          absl::SleepFor(absl::Milliseconds(200));
        }
        saving += absl::Now() - start;
        saved = true;
      });
      absl::Duration longest;
      while (!saved) {
        const absl::Time start = absl::Now();
        benchmark::DoNotOptimize(monitor->Report(key, "last_1000")->served.ece);
        longest = std::max(longest, absl::Now() - start);
      }
      state.SetIterationTime(absl::ToDoubleSeconds(longest));
      longest_of_all = std::max(longest_of_all, longest);
    }
  }
  std::filesystem::remove_all(directory);
  state.counters["longest_ms"] = absl::ToDoubleMilliseconds(longest_of_all);
  state.counters["iteration_ms"] =
      absl::ToDoubleMilliseconds(saving) / static_cast<double>(state.iterations());
}
BENCHMARK_CAPTURE(BM_LongestReport, during_checkpoint, true)
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime()
    ->Iterations(20);
BENCHMARK_CAPTURE(BM_LongestReport, without_checkpoint, false)
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime()
    ->Iterations(20);

}  // namespace
}  // namespace calserve
