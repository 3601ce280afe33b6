#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "benchmark/benchmark.h"
#include "server/base/clock.h"
#include "server/feedback/half_float.h"
#include "server/feedback/store.h"

// Durable labels a second at K = 10, in groups of the argument, on the build directory's disk; beside it what
// the disk alone takes to make the same bytes durable. Bar: at least 100,000 labels/s in groups of 1,000.
namespace calserve {
namespace {

constexpr int kClasses = 10;
constexpr size_t kRowBytes = 160;  // of a label in the table and in the index over prediction ids, about

class Directory {
 public:
  Directory() {
    std::string name = std::string(CALSERVE_BINARY_DIR) + "/store-benchmark-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::vector<ScoredLabel> MakeLabels(int64_t count) {
  const absl::Time now = Clock::System().Now();
  std::vector<ScoredLabel> labels(count);
  for (ScoredLabel& label : labels) {
    TicketContent& p = label.prediction;
    p.prediction_id = Uuid::NewV7(now);
    p.model = "fashion-mnist";
    p.model_version = 3;
    p.model_digest = std::string(64, 'a');
    p.calibrator_version = 2;
    p.calibrator_digest = std::string(64, 'b');
    p.issued_at = now;
    p.confidence = 0.9f;
    SetLogits(std::vector<float>(kClasses, 1.5f), p);
    label.submitter = "anonymous";
  }
  return labels;
}

void Append(benchmark::State& state, Store& store, int64_t group) {
  int64_t labels = 0;
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<ScoredLabel> batch = MakeLabels(group);
    state.ResumeTiming();
    const auto outcomes = store.Append(absl::MakeSpan(batch), Clock::System().Now());
    if (!outcomes.ok()) return state.SkipWithError(std::string(outcomes.status().message()).c_str());
    labels += group;
  }
  state.SetItemsProcessed(labels);
}

void BM_DurableLabels(benchmark::State& state) {
  const Directory directory;
  const std::unique_ptr<Store> store = *OpenStore({.data_dir = directory.path()});
  Append(state, *store, state.range(0));
}
BENCHMARK(BM_DurableLabels)->Arg(1)->Arg(100)->Arg(1000)->UseRealTime();

// The same into a log that has a million labels already.
void BM_DurableLabelsInALargeStore(benchmark::State& state) {
  const Directory directory;
  const std::unique_ptr<Store> store = *OpenStore({.data_dir = directory.path()});
  for (int i = 0; i < 200; ++i) {
    std::vector<ScoredLabel> batch = MakeLabels(5000);
    if (!store->Append(absl::MakeSpan(batch), Clock::System().Now()).ok()) std::abort();
  }
  Append(state, *store, state.range(0));
}
BENCHMARK(BM_DurableLabelsInALargeStore)->Arg(1000)->UseRealTime()->Iterations(200);

// The disk alone: the same number of bytes appended to a file, then fdatasync.
void BM_SyncBaseline(benchmark::State& state) {
  const Directory directory;
  const int file = open((directory.path() + "/file").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  const std::string bytes(static_cast<size_t>(state.range(0)) * kRowBytes, 'x');
  for (auto _ : state) {
    if (write(file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()) ||
        fdatasync(file) != 0) {
      state.SkipWithError("the disk failed");
      break;
    }
  }
  close(file);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_SyncBaseline)->Arg(1)->Arg(100)->Arg(1000)->UseRealTime();

void BM_ReadLabels(benchmark::State& state) {
  const Directory directory;
  const std::unique_ptr<Store> store = *OpenStore({.data_dir = directory.path()});
  std::vector<ScoredLabel> batch = MakeLabels(state.range(0));
  if (!store->Append(absl::MakeSpan(batch), Clock::System().Now()).ok()) std::abort();
  for (auto _ : state) {
    const auto rows = store->Read({}, state.range(0));
    if (!rows.ok()) return state.SkipWithError("reading failed");
    benchmark::DoNotOptimize(rows->data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_ReadLabels)->Arg(10'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace calserve
