// Labels folded a second into ten windows. Bar: at least 1,000,000/s (BM_PushIntoTenWindows). Then what comes
// to it in the monitor: scoring (softmax twice, NLL, Brier), and reading the rows from SQLite.
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "benchmark/benchmark.h"
#include "server/monitoring/calibration_monitor.h"
#include "server/monitoring/window_fold.h"
#include "tests/benchmarks/monitoring/synthetic_labels.h"

namespace calserve {
namespace {

constexpr int64_t kLabels = 1'000'000;

std::vector<WindowSpec> Specs() {
  std::vector<WindowSpec> specs;
  for (const std::string& name : TenWindows()) specs.push_back(*WindowSpec::Parse(name));
  return specs;
}

absl::StatusOr<std::shared_ptr<const Calibrator>> LookUp(int classes) {
  return std::make_shared<const Calibrator>(
      *Calibrator::Create({CalibrationMethod::kTemperature, classes, {{"temperature", {1.5}}}}));
}

void BM_PushIntoTenWindows(benchmark::State& state) {
  const std::vector<WindowLabel> labels = MakeWindowLabels(kLabels);
  for (auto _ : state) {
    const auto windows = *RollingWindows::Create(Specs());
    for (const WindowLabel& label : labels) benchmark::DoNotOptimize(windows->Push(label).ok());
  }
  state.SetItemsProcessed(state.iterations() * kLabels);
}
BENCHMARK(BM_PushIntoTenWindows)->Unit(benchmark::kMillisecond);

// What the fold of the log adds: keys, slices, alarms. Labels have that many attributes, of up to 40 values
// each.
void BM_FoldIntoTenWindows(benchmark::State& state) {
  const int keys = static_cast<int>(state.range(0));
  const std::vector<WindowLabel> labels = MakeWindowLabels(kLabels);
  const std::vector<Attributes> attributes = MakeAttributes(4096, keys);
  WindowFoldConfig config{Specs()};
  config.slice_keys = [&](const std::string&) {
    SliceKeys declared;
    for (int i = 0; i < keys; ++i) declared.push_back({KeyName(i), {}});
    return declared;
  };
  int64_t bytes = 0;
  for (auto _ : state) {
    const auto fold = *WindowFold::Create(config);
    for (int64_t i = 0; i < kLabels; ++i) {
      const Attributes& of = attributes[static_cast<size_t>(i) % attributes.size()];
      benchmark::DoNotOptimize(fold->Fold({"fashion_mnist", 1, 1}, i + 1, labels[i], of).ok());
    }
    bytes = fold->bytes();
  }
  state.SetItemsProcessed(state.iterations() * kLabels);
  state.counters["window_MB"] = static_cast<double>(bytes) / 1e6;
}
BENCHMARK(BM_FoldIntoTenWindows)->Arg(0)->Arg(1)->Arg(4)->Arg(8)->Unit(benchmark::kMillisecond);

void BM_ScoreRow(benchmark::State& state) {
  const int classes = static_cast<int>(state.range(0));
  const std::vector<ScoredLabel> rows = MakeRows(4096, classes);
  LabelScorer scorer([=](const std::string&, int64_t, int64_t) { return LookUp(classes); });
  size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(scorer.Score(rows[i++ % rows.size()])->served.nll);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_ScoreRow)->Arg(10)->Arg(1000);

// All that the folder does with a row that was read, at K = 10.
void BM_ScoreAndFoldIntoTenWindows(benchmark::State& state) {
  const std::vector<ScoredLabel> rows = MakeRows(100'000, 10);
  for (auto _ : state) {
    LabelScorer scorer([](const std::string&, int64_t, int64_t) { return LookUp(10); });
    const auto fold = *WindowFold::Create({Specs()});
    for (const ScoredLabel& row : rows) {
      benchmark::DoNotOptimize(fold->Fold(KeyOf(row), row.position, *scorer.Score(row)).ok());
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(rows.size()));
}
BENCHMARK(BM_ScoreAndFoldIntoTenWindows)->Unit(benchmark::kMillisecond);

// From scratch, out of a SQLite store on the build directory's disk, K = 10.
void BM_MonitorCatchesUpWithSqlite(benchmark::State& state) {
  constexpr int64_t kRows = 200'000;
  std::string directory = std::string(CALSERVE_BINARY_DIR) + "/fold-benchmark-XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) std::abort();
  {
    const auto store = *OpenStore({.data_dir = directory});
    std::vector<ScoredLabel> rows = MakeRows(kRows, 10);
    for (int64_t i = 0; i < kRows; i += 10'000) {
      if (!store->Append(absl::MakeSpan(rows).subspan(i, 10'000), rows[i].time).ok()) std::abort();
    }
    MonitoringOptions options;
    options.windows = TenWindows();
    for (auto _ : state) {
      auto monitor = *CalibrationMonitor::Create(
          options, *store, Clock::System(), [](const std::string&, int64_t, int64_t) { return LookUp(10); });
      if (!monitor->WaitForPosition(kRows, absl::Minutes(5))) std::abort();
      state.PauseTiming();
      monitor.reset();
      if (!store->SaveCheckpoint("monitoring", {}, {}).ok())
        std::abort();  // The next folds from scratch, too.
      state.ResumeTiming();
    }
  }
  std::filesystem::remove_all(directory);
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK(BM_MonitorCatchesUpWithSqlite)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace calserve
