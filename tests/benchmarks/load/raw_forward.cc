// LibTorch alone: forward passes of a model file in process, with no server around them.
//
//   raw_forward MODEL_FILE CLASSES IN_FLIGHT INSTANCES SECONDS SHAPE...
//
// IN_FLIGHT images are in the model at any time, in equal batches on INSTANCES threads. Writes one line to
// stderr: "raw IMAGES_PER_SECOND P50_NANOS P99_NANOS CPU_NANOS_AN_IMAGE".
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "server/model/model.h"

namespace {

int64_t CpuNanos() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * int64_t{1'000'000'000} +
         (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * int64_t{1'000};
}

// Forward passes of `batch` rows until `end`; their durations.
std::vector<int64_t> RunUntil(calserve::Model& model, int instance, int batch, absl::Time end) {
  std::vector<float> logits(static_cast<size_t>(batch) * model.columns());
  std::vector<int64_t> nanos;
  for (absl::Time now = absl::Now(); now < end;) {
    if (!model.Run(instance, batch, absl::MakeSpan(logits)).ok()) std::exit(1);
    const absl::Time after = absl::Now();
    nanos.push_back(absl::ToInt64Nanoseconds(after - now));
    now = after;
  }
  return nanos;
}

std::vector<int64_t> RunAll(calserve::Model& model, int instances, int batch, absl::Duration duration) {
  const absl::Time end = absl::Now() + duration;
  std::vector<std::vector<int64_t>> nanos(instances);
  std::vector<std::jthread> threads;
  for (int i = 0; i < instances; ++i) {
    threads.emplace_back([&, i] { nanos[i] = RunUntil(model, i, batch, end); });
  }
  threads.clear();
  std::vector<int64_t> all;
  for (const auto& one : nanos) all.insert(all.end(), one.begin(), one.end());
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7) {
    std::cerr << "usage: raw_forward MODEL_FILE CLASSES IN_FLIGHT INSTANCES SECONDS SHAPE...\n";
    return 2;
  }
  const int in_flight = std::atoi(argv[3]), instances = std::atoi(argv[4]);
  const int batch = std::max(1, in_flight / instances);
  const absl::Duration duration = absl::Seconds(std::atof(argv[5]));
  calserve::ModelOptions options;
  options.name = "raw";
  options.version = 1;
  options.path = argv[1];
  options.classes = std::atoi(argv[2]);
  options.instances = instances;
  options.max_batch_size = batch;
  for (int i = 6; i < argc; ++i) options.input_shape.push_back(std::atoll(argv[i]));
  calserve::SetIntraOpThreads(std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / instances));
  const auto model = calserve::LoadModel(options);
  if (!model.ok()) {
    std::cerr << model.status() << "\n";
    return 1;
  }
  RunAll(**model, instances, batch, duration / 10);  // Warms up, on the threads' own first runs.
  const int64_t cpu_before = CpuNanos();
  const absl::Time begin = absl::Now();
  const std::vector<int64_t> nanos = RunAll(**model, instances, batch, duration);
  const double seconds = absl::ToDoubleSeconds(absl::Now() - begin);
  const double images = static_cast<double>(nanos.size()) * batch;
  std::cerr << "raw " << images / seconds << " " << nanos[nanos.size() / 2] << " "
            << nanos[(nanos.size() - 1) * 99 / 100] << " "
            << static_cast<double>(CpuNanos() - cpu_before) / images << std::endl;
}
