// What DetailedMetrics cost, by their parts: they are asked for of up to fit_max_rows stored rows.

#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <vector>

#include "calibration/metrics/binned_errors.h"
#include "calibration/metrics/debiased_test.h"
#include "calibration/metrics/detailed_metrics.h"
#include "calibration/metrics/smooth_ece.h"

namespace calserve {
namespace {

template <typename T>
T Ok(absl::StatusOr<T> result) {
  if (!result.ok()) std::abort();
  return *std::move(result);
}

// Confidences of an overconfident model, nearly all different.
std::vector<ConfidenceGroup> MakeGroups(int64_t rows) {
  std::mt19937_64 generator(1);
  std::uniform_real_distribution<float> uniform(0, 1);
  std::vector<float> confidences;
  std::vector<uint8_t> correct;
  for (int64_t i = 0; i < rows; ++i) {
    const float u = uniform(generator);
    confidences.push_back(1 - 0.8f * u * u);
    correct.push_back(uniform(generator) < confidences.back() - 0.02f ? 1 : 0);
  }
  return Ok(GroupByConfidence(confidences, correct));
}

void BM_SmoothEce(benchmark::State& state) {
  const std::vector<ConfidenceGroup> groups = MakeGroups(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(SmoothEce(groups));
}
BENCHMARK(BM_SmoothEce)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMillisecond);

void BM_DebiasedTest(benchmark::State& state) {
  const std::vector<ConfidenceGroup> groups = MakeGroups(state.range(0));
  for (auto _ : state) {
    benchmark::DoNotOptimize(DebiasedCalibrationTest(groups, DebiasedTestBins(state.range(0))));
  }
}
BENCHMARK(BM_DebiasedTest)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMillisecond);

void BM_EceSweep(benchmark::State& state) {
  const std::vector<ConfidenceGroup> groups = MakeGroups(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(SweepCalibrationError(groups));
}
BENCHMARK(BM_EceSweep)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMillisecond);

void BM_EvaluateDetailed(benchmark::State& state) {
  const auto rows = static_cast<int>(state.range(0)), classes = static_cast<int>(state.range(1));
  std::mt19937 generator(1);
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> logits(static_cast<size_t>(rows) * classes);
  for (float& z : logits) z = normal(generator);
  std::vector<int32_t> labels(rows);
  for (int32_t& label : labels) label = static_cast<int32_t>(generator() % classes);
  const Calibrator softmax = Calibrator::None(classes);
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        Ok(EvaluateDetailed(softmax, LogitsView(absl::MakeConstSpan(logits), classes), labels)));
  }
}
BENCHMARK(BM_EvaluateDetailed)->Args({10'000, 10})->Args({10'000, 100})->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace calserve
