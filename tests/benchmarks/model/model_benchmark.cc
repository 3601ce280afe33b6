// LibTorch alone in process ("raw"): the Fashion-MNIST model by format and batch size, a thread per instance,
// and what loading one costs.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "server/model/model.h"

namespace calserve {
namespace {

constexpr int kInstances = 2;
constexpr int kClasses = 10;

ModelOptions OptionsFor(const std::string& path, int instances) {
  ModelOptions options;
  options.name = "fashion_mnist";
  options.path = std::string(CALSERVE_SOURCE_DIR "/") + path;
  options.input_shape = {1, 28, 28};
  options.classes = kClasses;
  options.device = "cpu";
  options.instances = instances;
  return options;
}

const char* PathOf(bool package) {
  return package ? "tests/fixtures/models/fashion_mnist_pt2/1/model.pt2"
                 : "examples/fashion_mnist/models/fashion_mnist/1/model.pt";
}

Model& Loaded(bool package) {
  static const auto load = [](bool which) {
    SetIntraOpThreads(1);
    return LoadModel(OptionsFor(PathOf(which), kInstances)).value().release();
  };
  static Model* const models[] = {load(false), load(true)};
  return *models[package];
}

// Arguments: 0 = .pt, 1 = .pt2; rows of a batch. A thread is an instance; items are images.
void BM_Forward(benchmark::State& state) {
  Model& model = Loaded(state.range(0) != 0);
  const int rows = static_cast<int>(state.range(1));
  std::vector<float> logits(rows * kClasses);
  for (auto _ : state) {
    if (absl::Status status = model.Run(state.thread_index(), rows, absl::MakeSpan(logits)); !status.ok()) {
      state.SkipWithError(status.ToString().c_str());
    }
  }
  state.SetItemsProcessed(state.iterations() * rows);
}
BENCHMARK(BM_Forward)
    ->ArgNames({"pt2", "rows"})
    ->ArgsProduct({{0, 1}, {1, 8, 32}})
    ->ThreadRange(1, kInstances)
    ->UseRealTime();

// Load, check and warm for batches up to 32, in a process that has loaded one before.
void BM_LoadModel(benchmark::State& state) {
  const ModelOptions options = OptionsFor(PathOf(state.range(0) != 0), 1);
  for (auto _ : state) benchmark::DoNotOptimize(LoadModel(options).value());
}
BENCHMARK(BM_LoadModel)->ArgName("pt2")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace calserve
