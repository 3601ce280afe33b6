// Bars (design, section 10): 1,000,000 labels/s into 10 windows; a report in 50 us whatever the window's
// length; 32 bytes a windowed label; and a temperature fit on 10,000 x 100 logits in about 5 ms on one core.

#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "calibration/fit.h"
#include "calibration/labelled_rows.h"
#include "calibration/method.h"
#include "calibration/rolling_windows.h"
#include "calibration/temperature_fit.h"

namespace calserve {
namespace {

struct Labelled {
  int classes;
  std::vector<float> logits;
  std::vector<int32_t> labels;
  LogitsView view() const { return LogitsView(absl::MakeConstSpan(logits), classes); }
};

// Logits of a model that is overconfident by a temperature of 1.7.
Labelled MakeLabelled(int rows, int classes) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal(0, 3);
  Labelled data{classes, {}, {}};
  std::vector<double> weights(classes);
  for (int i = 0; i < rows; ++i) {
    for (double& weight : weights) {
      data.logits.push_back(normal(generator));
      weight = std::exp(data.logits.back() / 1.7);
    }
    data.labels.push_back(std::discrete_distribution<int>(weights.begin(), weights.end())(generator));
  }
  return data;
}

template <typename T>
T Ok(absl::StatusOr<T> result) {
  if (!result.ok()) std::abort();
  return *std::move(result);
}

void BM_FitTemperature(benchmark::State& state) {
  const Labelled data = MakeLabelled(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  const LabelledRows rows = AllRows(data.view(), data.labels);
  for (auto _ : state) benchmark::DoNotOptimize(FitTemperature(rows, [] { return true; }));
}
BENCHMARK(BM_FitTemperature)->Args({5'000, 10})->Args({10'000, 100})->Unit(benchmark::kMillisecond);

// A method's fit alone, by its place in the table. Two classes where it takes no more.
void BM_FitMethod(benchmark::State& state) {
  const Method& method = AllMethods()[static_cast<size_t>(state.range(0))];
  state.SetLabel(method.name);
  const int classes = method.two_classes_only ? 2 : static_cast<int>(state.range(2));
  const Labelled data = MakeLabelled(static_cast<int>(state.range(1)), classes);
  const LabelledRows rows = AllRows(data.view(), data.labels);
  for (auto _ : state) benchmark::DoNotOptimize(Ok(method.fit(rows, [](double) { return true; })));
}
void EveryMethod(benchmark::internal::Benchmark* benchmark) {
  for (size_t m = 1; m < AllMethods().size(); ++m) {
    benchmark->Args({static_cast<int64_t>(m), 10'000, 10});
    benchmark->Args({static_cast<int64_t>(m), 10'000, 100});
  }
}
BENCHMARK(BM_FitMethod)->Apply(EveryMethod)->Unit(benchmark::kMillisecond);

// With its checks, both reports, and 5-fold cross-validation.
void BM_FitCalibrator(benchmark::State& state, CalibrationMethod method) {
  const Labelled data = MakeLabelled(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  for (auto _ : state) benchmark::DoNotOptimize(Ok(FitCalibrator(method, data.view(), data.labels)));
}
BENCHMARK_CAPTURE(BM_FitCalibrator, temperature, CalibrationMethod::kTemperature)
    ->Args({5'000, 10})
    ->Args({10'000, 100})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_FitCalibrator, auto, CalibrationMethod::kAuto) -> Args({5'000, 10})
    -> Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_FitCalibrator, platt_one_vs_rest, CalibrationMethod::kPlattOneVsRest)
    ->Args({5'000, 10})
    ->Args({10'000, 100})
    ->Unit(benchmark::kMillisecond);

// As fitted to 5,000 rows, by its place in the table.
void BM_ApplyMethod(benchmark::State& state) {
  const Method& method = AllMethods()[static_cast<size_t>(state.range(0))];
  state.SetLabel(method.name);
  const int classes = method.two_classes_only ? 2 : static_cast<int>(state.range(1));
  const Labelled data = MakeLabelled(5'000, classes);
  const Fitted fitted = Ok(method.fit(AllRows(data.view(), data.labels), [](double) { return true; }));
  const Calibrator calibrator = Ok(Calibrator::Create(fitted.spec));
  std::vector<float> probabilities(classes);
  const absl::Span<const float> row = absl::MakeConstSpan(data.logits).first(classes);
  for (auto _ : state) {
    if (!calibrator.Apply(row, absl::MakeSpan(probabilities)).ok()) std::abort();
    benchmark::DoNotOptimize(probabilities.data());
  }
}
void EveryMethodApplied(benchmark::internal::Benchmark* benchmark) {
  for (size_t m = 0; m < AllMethods().size(); ++m) {
    benchmark->Args({static_cast<int64_t>(m), 10});
    benchmark->Args({static_cast<int64_t>(m), 1'000});
  }
}
BENCHMARK(BM_ApplyMethod)->Apply(EveryMethodApplied);

CalibratorSpec SpecOf(CalibrationMethod method, int classes) {
  CalibratorSpec spec{method, classes, {}};
  if (method == CalibrationMethod::kTemperature) spec.parameters = {{"temperature", {1.7}}};
  if (method == CalibrationMethod::kPlattOneVsRest) {
    spec.parameters = {{"slope", std::vector<double>(classes, -1)},
                       {"offset", std::vector<double>(classes, 0)}};
  }
  return spec;
}

void BM_Apply(benchmark::State& state, CalibrationMethod method) {
  const int classes = static_cast<int>(state.range(0));
  const Labelled data = MakeLabelled(1, classes);
  const Calibrator calibrator = Ok(Calibrator::Create(SpecOf(method, classes)));
  std::vector<float> probabilities(classes);
  for (auto _ : state) {
    if (!calibrator.Apply(data.logits, absl::MakeSpan(probabilities)).ok()) std::abort();
    benchmark::DoNotOptimize(probabilities.data());
  }
}
BENCHMARK_CAPTURE(BM_Apply, temperature, CalibrationMethod::kTemperature)->Arg(10)->Arg(1'000);
BENCHMARK_CAPTURE(BM_Apply, platt_one_vs_rest, CalibrationMethod::kPlattOneVsRest)->Arg(10)->Arg(1'000);

void BM_Evaluate(benchmark::State& state) {
  const Labelled data = MakeLabelled(10'000, static_cast<int>(state.range(0)));
  const Calibrator calibrator = Calibrator::None(data.classes);
  for (auto _ : state) benchmark::DoNotOptimize(Ok(Evaluate(calibrator, data.view(), data.labels)));
}
BENCHMARK(BM_Evaluate)->Arg(10)->Arg(100)->Unit(benchmark::kMillisecond);

// One label a millisecond.
class LabelSource {
 public:
  LabelSource() : labels_(4096) {
    std::mt19937 generator(1);
    std::uniform_real_distribution<float> uniform(0, 1);
    for (WindowLabel& label : labels_) {
      label.served = {uniform(generator), uniform(generator) < 0.9f, uniform(generator), uniform(generator)};
      label.uncalibrated = {uniform(generator), label.served.correct, uniform(generator), uniform(generator)};
    }
  }
  const WindowLabel& Next() {
    WindowLabel& label = labels_[next_++ % labels_.size()];
    label.time_micros = time_ += 1000;
    return label;
  }
  int64_t time() const { return time_; }

 private:
  std::vector<WindowLabel> labels_;
  size_t next_ = 0;
  int64_t time_ = 1'700'000'000'000'000;
};

std::unique_ptr<RollingWindows> MakeWindows(const std::vector<std::string>& names) {
  std::vector<WindowSpec> specs;
  for (const std::string& name : names) specs.push_back(Ok(WindowSpec::Parse(name)));
  return Ok(RollingWindows::Create(std::move(specs)));
}

void BM_PushTo10Windows(benchmark::State& state) {
  const std::unique_ptr<RollingWindows> windows =
      MakeWindows({"last_1000", "last_10000", "last_100000", "last_1000000", "last_1m", "last_15m", "last_1h",
                   "decay_1m", "decay_1h", "decay_1d"});
  LabelSource source;
  const auto push = [&] {
    if (!windows->Push(source.Next()).ok()) std::abort();
  };
  for (int i = 0; i < 1'100'000; ++i) push();  // all full, so that each push evicts
  for (auto _ : state) push();
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_PushTo10Windows);

void BM_Report(benchmark::State& state) {
  const std::unique_ptr<RollingWindows> windows = MakeWindows({"last_" + std::to_string(state.range(0))});
  const int64_t empty_bytes = windows->bytes();
  LabelSource source;
  for (int64_t i = 0; i < state.range(0) + 10; ++i) {
    if (!windows->Push(source.Next()).ok()) std::abort();
  }
  for (auto _ : state) benchmark::DoNotOptimize(windows->Report(0, source.time()));
  state.counters["bytes_per_label"] =
      static_cast<double>(windows->bytes() - empty_bytes) / static_cast<double>(windows->labels_held());
}
BENCHMARK(BM_Report)->Arg(1'000)->Arg(1'000'000)->Unit(benchmark::kMicrosecond);

void BM_ReportOfDecay(benchmark::State& state) {
  const std::unique_ptr<RollingWindows> windows = MakeWindows({"decay_1h"});
  LabelSource source;
  for (int i = 0; i < 100'000; ++i) {
    if (!windows->Push(source.Next()).ok()) std::abort();
  }
  for (auto _ : state) benchmark::DoNotOptimize(windows->Report(0, source.time() + 1'000'000));
}
BENCHMARK(BM_ReportOfDecay)->Unit(benchmark::kMicrosecond);

void BM_Serialize(benchmark::State& state) {
  const std::unique_ptr<RollingWindows> windows =
      MakeWindows({"last_" + std::to_string(state.range(0)), "decay_1h"});
  LabelSource source;
  for (int64_t i = 0; i < state.range(0); ++i) {
    if (!windows->Push(source.Next()).ok()) std::abort();
  }
  for (auto _ : state) benchmark::DoNotOptimize(windows->Serialize());
}
BENCHMARK(BM_Serialize)->Arg(10'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

void BM_AddEceInterval(benchmark::State& state) {
  const Labelled data = MakeLabelled(1'000, 10);
  CalibrationMetrics metrics = Ok(Evaluate(Calibrator::None(10), data.view(), data.labels));
  for (auto _ : state) AddEceInterval(&metrics);
}
BENCHMARK(BM_AddEceInterval)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace calserve
