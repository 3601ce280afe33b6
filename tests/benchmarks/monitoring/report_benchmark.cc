// A live report, whatever the window's length. Bar: at most 50 µs. And the state of a full key, for a
// checkpoint.
#include <cstdlib>
#include <memory>

#include "benchmark/benchmark.h"
#include "calibration/rolling_windows.h"
#include "server/monitoring/window_fold.h"
#include "tests/benchmarks/monitoring/synthetic_labels.h"

namespace calserve {
namespace {

const MonitorKey kKey{"fashion_mnist", 1, 1};

std::unique_ptr<WindowFold> FilledFold(const std::vector<std::string>& windows, int64_t labels) {
  WindowFoldConfig config;
  for (const std::string& window : windows) config.windows.push_back(*WindowSpec::Parse(window));
  auto fold = *WindowFold::Create(std::move(config));
  int64_t position = 0;
  for (const WindowLabel& label : MakeWindowLabels(labels)) {
    if (!fold->Fold(kKey, ++position, label).ok()) std::abort();
  }
  return fold;
}

void BM_Report(benchmark::State& state, const std::string& window) {
  const auto fold = FilledFold({window}, 1'000'000);
  for (auto _ : state) benchmark::DoNotOptimize(fold->Report(kKey, 0, 0).served.ece);
}
BENCHMARK_CAPTURE(BM_Report, last_1000, "last_1000");
BENCHMARK_CAPTURE(BM_Report, last_1000000, "last_1000000");
BENCHMARK_CAPTURE(BM_Report, last_24h, "last_24h");
BENCHMARK_CAPTURE(BM_Report, decay_1h, "decay_1h");

// While the store's transaction is open; nothing is folded, reports go on.
void BM_SerializeOneKey(benchmark::State& state) {
  const auto fold = FilledFold(TenWindows(), state.range(0));
  int64_t bytes = 0;
  for (auto _ : state) bytes = static_cast<int64_t>(fold->StateOf(kKey).Serialize().size());
  state.counters["bytes/label"] = static_cast<double>(bytes) / static_cast<double>(state.range(0));
}
BENCHMARK(BM_SerializeOneKey)->Arg(10'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

// All of it for which a report may wait.
void BM_StateOfOneKey(benchmark::State& state) {
  const auto fold = FilledFold(TenWindows(), 1'000'000);
  for (auto _ : state) benchmark::DoNotOptimize(fold->StateOf(kKey));
}
BENCHMARK(BM_StateOfOneKey);

}  // namespace
}  // namespace calserve
