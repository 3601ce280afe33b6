// How long a report waits while the checkpoint of 1,000,000 labels of one key is written to a SQLite store on
// the build directory's disk, and feedback while that of 8 x 33 full slices is; and as long without one: what
// of it is the machine's.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

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
  // Row i of the log is rows[i % rows.size()], 100 us after the one before.
  SyntheticLog(Store& to, std::vector<ScoredLabel> rows) : ForwardingStore(to), rows_(std::move(rows)) {}

  const ScoredLabel& row() const { return rows_.front(); }
  int64_t Grow(int64_t rows) { return end_ += rows; }

  absl::StatusOr<LogHead> Head() override { return LogHead{end_ + 1, kLogStart}; }
  absl::StatusOr<std::vector<ScoredLabel>> Read(const LogSelection& selection, int64_t limit) override {
    std::vector<ScoredLabel> rows;
    const int64_t last = std::min(selection.after_position + limit, end_.load());
    for (int64_t position = selection.after_position + 1; position <= last; ++position) {
      rows.push_back(rows_[static_cast<size_t>(position) % rows_.size()]);
      rows.back().position = position;
      rows.back().time = kLogStart + absl::Microseconds(100 * position);
    }
    return rows;
  }

 private:
  const std::vector<ScoredLabel> rows_;
  std::atomic<int64_t> end_{0};
};

// A monitor over a log that is made up, and a store of checkpoints in a directory of its own.
class Fixture {
 public:
  Fixture(const MonitoringOptions& options, std::vector<ScoredLabel> rows, SliceKeys slice_keys) {
    if (mkdtemp(directory_.data()) == nullptr) std::abort();
    store_ = *OpenStore({.data_dir = directory_});
    log_ = std::make_unique<SyntheticLog>(*store_, std::move(rows));
    monitor_ = *CalibrationMonitor::Create(
        options, *log_, Clock::System(),
        [](const std::string&, int64_t, int64_t) {
          return std::make_shared<const Calibrator>(Calibrator::None(2));
        },
        nullptr, [slice_keys = std::move(slice_keys)](const std::string&) { return slice_keys; });
  }
  ~Fixture() {
    monitor_.reset();
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Fold(int64_t rows) {
    const int64_t end = log_->Grow(rows);
    monitor_->Notify();
    if (!monitor_->WaitForPosition(end, absl::Minutes(5))) std::abort();
  }
  // Runs `task` again and again while a checkpoint is written, or for 200 ms; the longest that it took.
  template <typename Task>
  absl::Duration LongestDuring(bool checkpoint, Task task) {
    std::atomic<bool> saved{false};
    std::jthread saver([&] {
      const absl::Time start = absl::Now();
      if (!checkpoint) absl::SleepFor(absl::Milliseconds(200));
      if (checkpoint && !monitor_->SaveCheckpoint().ok()) std::abort();
      saving_ += absl::Now() - start;
      saved = true;
    });
    absl::Duration longest;
    while (!saved) {
      const absl::Time start = absl::Now();
      task();
      longest = std::max(longest, absl::Now() - start);
    }
    longest_ = std::max(longest_, longest);
    return longest;
  }
  void Count(benchmark::State& state) const {
    state.counters["longest_ms"] = absl::ToDoubleMilliseconds(longest_);
    state.counters["iteration_ms"] =
        absl::ToDoubleMilliseconds(saving_) / static_cast<double>(state.iterations());
    state.counters["window_MB"] = static_cast<double>(monitor_->state().window_bytes) / 1e6;
  }

  Store& store() { return *store_; }
  CalibrationMonitor& monitor() { return *monitor_; }
  const SyntheticLog& log() const { return *log_; }

 private:
  std::string directory_ = std::string(CALSERVE_BINARY_DIR) + "/checkpoint-benchmark-XXXXXX";
  std::unique_ptr<Store> store_;
  std::unique_ptr<SyntheticLog> log_;
  std::unique_ptr<CalibrationMonitor> monitor_;
  absl::Duration longest_, saving_;
};

// The time is the longest that a report took, of each iteration.
void BM_LongestReport(benchmark::State& state, bool during_checkpoint) {
  MonitoringOptions options;
  options.windows = TenWindows();
  options.checkpoint_interval = absl::Hours(24);
  Fixture fixture(options, MakeRows(1, 2), {});
  const MonitorKey key = KeyOf(fixture.log().row());
  fixture.Fold(kLabels);
  for (auto _ : state) {
    fixture.Fold(1);
    state.SetIterationTime(absl::ToDoubleSeconds(fixture.LongestDuring(during_checkpoint, [&] {
      benchmark::DoNotOptimize(fixture.monitor().Report(key, "last_1000")->served.ece);
    })));
  }
  fixture.Count(state);
}
BENCHMARK_CAPTURE(BM_LongestReport, during_checkpoint, true)
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime()
    ->Iterations(20);
BENCHMARK_CAPTURE(BM_LongestReport, without_checkpoint, false)
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime()
    ->Iterations(20);

// The time is the longest that the commit of one label took, of each iteration, in which all of 8 x 33 slices
// of 10,000 labels, and their whole, have changed.
void BM_LongestFeedback(benchmark::State& state, bool during_checkpoint) {
  constexpr int kKeys = 8;
  constexpr size_t kRows = 4096;
  std::vector<ScoredLabel> rows = MakeRows(kRows, 2);
  const std::vector<Attributes> attributes = MakeAttributes(kRows, kKeys);
  for (size_t i = 0; i < kRows; ++i) rows[i].prediction.attributes = attributes[i];
  SliceKeys slice_keys;
  for (int i = 0; i < kKeys; ++i) slice_keys.push_back({KeyName(i), {}});
  MonitoringOptions options;
  options.checkpoint_interval = absl::Hours(24);
  Fixture fixture(options, std::move(rows), std::move(slice_keys));
  fixture.Fold(kLabels);
  std::vector<ScoredLabel> feedback = MakeRows(100'000, 2);
  size_t sent = 0;
  for (auto _ : state) {
    fixture.Fold(kRows);
    state.SetIterationTime(absl::ToDoubleSeconds(fixture.LongestDuring(during_checkpoint, [&] {
      const absl::Span<ScoredLabel> one = absl::MakeSpan(feedback).subspan(sent++ % feedback.size(), 1);
      if (!fixture.store().Append(one, absl::Now()).ok()) std::abort();
    })));
  }
  fixture.Count(state);
}
BENCHMARK_CAPTURE(BM_LongestFeedback, during_checkpoint, true)
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime()
    ->Iterations(5);
BENCHMARK_CAPTURE(BM_LongestFeedback, without_checkpoint, false)
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime()
    ->Iterations(5);

}  // namespace
}  // namespace calserve
