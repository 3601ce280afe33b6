// LibTorch alone: forward passes of a model file in process, with no server around them.
//
//   raw_forward [--as-saved] [--photo FILE MODEL_DIRECTORY]
//               MODEL_FILE CLASSES IN_FLIGHT INSTANCES INTRA_OP_THREADS SECONDS SHAPE...
//
// IN_FLIGHT images are in the model at any time, in equal batches on INSTANCES threads. --as-saved: a .pt as
// LibTorch runs it, else as calserve-server prepares it (server/model/torch_program.h). --photo: before each
// forward pass every row is decoded from the image file, as MODEL_DIRECTORY/model.yaml says, on
// INTRA_OP_THREADS threads; an instance does one after the other. Writes one line to stderr: "raw
// IMAGES_PER_SECOND P50_NANOS P99_NANOS CPU_NANOS_AN_IMAGE".
#include <sys/resource.h>

#include <algorithm>
#include <barrier>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/types/span.h"
#include "server/config/model_config.h"
#include "server/imaging/preprocessor.h"
#include "server/model/model.h"
#include "tests/benchmarks/load/bare_model.h"
#include "tests/benchmarks/load/saved_module.h"

namespace {

int64_t CpuNanos() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * int64_t{1'000'000'000} +
         (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * int64_t{1'000};
}

// TorchScript's first runs of a shape are slow, on each thread anew.
constexpr int kLeastWarmUpRuns = 5, kMostWarmUpRuns = 100;

// An image file, to be decoded again and again.
class Photo {
 public:
  // Ends the program with a message if there is no such file or model.
  Photo(const std::string& file, const std::string& model_directory, int threads) : threads_(threads) {
    std::ifstream in(file, std::ios::binary);
    std::ostringstream bytes;
    if (in) bytes << in.rdbuf();
    Check(bytes.str().empty() ? absl::NotFoundError("cannot read " + file) : absl::OkStatus());
    encoded_ = bytes.str();
    const auto config = calserve::ReadModelConfig(model_directory, calserve::BatchingOptions());
    Check(config.status());
    auto preprocessor = calserve::Preprocessor::Create(config->image, calserve::DecodeLimits());
    Check(preprocessor.status());
    preprocessor_ = *std::move(preprocessor);
  }

  // Into each of the first `rows` rows.
  void DecodeInto(absl::Span<float> staging, int rows) const {
    const size_t size = static_cast<size_t>(preprocessor_->output_size());
    const int threads = std::min(threads_, rows);
    const auto decode_share = [&](int thread) {
      for (int row = thread; row < rows; row += threads)
        Check(preprocessor_->Run(encoded_, staging.subspan(row * size, size)));
    };
    std::vector<std::jthread> helpers;
    for (int thread = 1; thread < threads; ++thread) helpers.emplace_back(decode_share, thread);
    decode_share(0);
  }

 private:
  static void Check(const absl::Status& status) {
    if (status.ok()) return;
    std::cerr << status << std::endl;
    std::exit(1);
  }

  const int threads_;
  std::string encoded_;
  std::optional<calserve::Preprocessor> preprocessor_;
};

struct Result {
  std::vector<int64_t> nanos;  // of a forward pass, with its decoding, sorted
  double images = 0, seconds = 0, cpu_nanos = 0;
};

// Forward passes of `batch` rows on every instance for `duration`, once all of them are warm, each
// after decoding `photo` if given.
template <class Model>
Result RunAll(Model& model, const std::optional<Photo>& photo, int instances, int batch,
              absl::Duration duration) {
  absl::Time begin;
  int64_t cpu_before = 0;
  std::barrier warm(instances, [&]() noexcept {
    begin = absl::Now();
    cpu_before = CpuNanos();
  });
  std::vector<std::vector<int64_t>> nanos(instances);
  std::vector<std::jthread> threads;
  for (int i = 0; i < instances; ++i) {
    threads.emplace_back([&, i] {
      std::vector<float> logits(static_cast<size_t>(batch) * model.columns());
      const auto run = [&] {
        if (photo.has_value()) photo->DecodeInto(model.Staging(i), batch);
        if (const absl::Status status = model.Run(i, batch, absl::MakeSpan(logits)); !status.ok()) {
          std::cerr << "raw_forward: " << status << std::endl;
          std::_Exit(1);
        }
      };
      const absl::Time warm_up_end = absl::Now() + duration;
      for (int j = 0; j < kMostWarmUpRuns && (j < kLeastWarmUpRuns || absl::Now() < warm_up_end); ++j) run();
      warm.arrive_and_wait();
      for (absl::Time now = begin; now < begin + duration;) {
        run();
        const absl::Time after = absl::Now();
        nanos[i].push_back(absl::ToInt64Nanoseconds(after - now));
        now = after;
      }
    });
  }
  threads.clear();
  Result result;
  result.seconds = absl::ToDoubleSeconds(absl::Now() - begin);
  result.cpu_nanos = static_cast<double>(CpuNanos() - cpu_before);
  for (const auto& one : nanos) result.nanos.insert(result.nanos.end(), one.begin(), one.end());
  std::sort(result.nanos.begin(), result.nanos.end());
  result.images = static_cast<double>(result.nanos.size()) * batch;
  return result;
}

// What is left of the command line.
struct Arguments {
  bool as_saved = false;
  std::string photo_file, photo_model;
  calserve::load::BareModel bare;
  int batch = 1;
  absl::Duration duration;
  char **shape = nullptr, **end = nullptr;
};

std::optional<Arguments> Parse(int argc, char** argv) {
  Arguments arguments;
  if (argc > 1 && std::string(argv[1]) == "--as-saved") {
    arguments.as_saved = true;
    --argc, ++argv;
  }
  if (argc > 4 && std::string(argv[1]) == "--photo") {
    arguments.photo_file = argv[2], arguments.photo_model = argv[3];
    argc -= 3, argv += 3;
  }
  if (argc < 8) return std::nullopt;
  const int in_flight = std::atoi(argv[3]), instances = std::atoi(argv[4]);
  arguments.batch = std::max(1, in_flight / instances);
  arguments.bare = {.file = argv[1],
                    .classes = std::atoi(argv[2]),
                    .instances = instances,
                    .max_batch_size = arguments.batch,
                    .intra_op_threads = std::max(1, std::atoi(argv[5]))};
  arguments.duration = absl::Seconds(std::atof(argv[6]));
  arguments.shape = argv + 7, arguments.end = argv + argc;
  return arguments;
}

Result Measure(const Arguments& arguments) {
  const calserve::load::BareModel& bare = arguments.bare;
  std::optional<Photo> photo;
  if (!arguments.photo_file.empty())
    photo.emplace(arguments.photo_file, arguments.photo_model, bare.intra_op_threads);
  if (!arguments.as_saved) {
    const auto model = calserve::load::LoadBareModel(bare, arguments.shape, arguments.end);
    return RunAll(*model, photo, bare.instances, arguments.batch, arguments.duration);
  }
  std::vector<int64_t> shape;
  for (char** dimension = arguments.shape; dimension != arguments.end; ++dimension)
    shape.push_back(std::atoll(*dimension));
  calserve::load::SavedModule model(bare.file, shape, bare.instances, arguments.batch, bare.intra_op_threads);
  return RunAll(model, photo, bare.instances, arguments.batch, arguments.duration);
}

}  // namespace

int main(int argc, char** argv) {
  const std::optional<Arguments> arguments = Parse(argc, argv);
  if (!arguments.has_value()) {
    std::cerr
        << "usage: raw_forward [--as-saved] [--photo FILE MODEL_DIRECTORY] MODEL_FILE CLASSES IN_FLIGHT "
           "INSTANCES INTRA_OP_THREADS SECONDS SHAPE...\n";
    return 2;
  }
  try {
    const Result result = Measure(*arguments);
    std::cerr << "raw " << result.images / result.seconds << " " << result.nanos[result.nanos.size() / 2]
              << " " << result.nanos[(result.nanos.size() - 1) * 99 / 100] << " "
              << result.cpu_nanos / result.images << std::endl;
  } catch (const std::exception& error) {
    std::cerr << "raw_forward: " << error.what() << "\n";
    return 1;
  }
}
