// What one model's callers notice of another model's flood: latency of "quiet", called by one caller, alone
// and while "flooded", a copy of the same model, is called by many. Writes Markdown.
//
//   fairness_benchmark [MODEL_DIRECTORY [SECONDS]]
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <thread>

#include "absl/strings/str_format.h"
#include "tests/benchmarks/load/load_client.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"

namespace calserve::load {
namespace {

namespace fs = std::filesystem;

constexpr int kFlood = 32;  // callers

v1::PredictRequest For(const std::string& model) {
  v1::PredictRequest request = e2e::TestTensorRequest(0, 1);
  request.set_model(model);
  return request;
}

void PrintRow(const char* what, const Measurement& m) {
  std::cout << absl::StreamFormat("| %s | %.0f | %.0f | %.0f |\n", what, m.per_second,
                                  absl::ToDoubleMicroseconds(m.p50), absl::ToDoubleMicroseconds(m.p99));
}

void Run(const fs::path& model, absl::Duration duration) {
  const e2e::TempDir scratch;
  fs::create_directory(scratch / "models");
  for (const char* name : {"flooded", "quiet"}) {
    fs::create_directory_symlink(model, scratch / "models/" + name);
  }
  e2e::ServerProcess server(
      e2e::ServerFlags{.model_repository = scratch / "models", .data_dir = scratch / "data"});
  if (!server.WaitUntilServing()) throw std::runtime_error(server.log());
  const auto no_cpu = [] { return absl::ZeroDuration(); };
  LoadClient quiet(server.address(), For("quiet")), flooded(server.address(), For("flooded"));
  const Measurement alone = quiet.Run(1, duration, no_cpu);
  const Measurement flood_alone = flooded.Run(kFlood, duration, no_cpu);
  Measurement flood, beside;
  std::jthread flooding([&] { flood = flooded.Run(kFlood, 2 * duration, no_cpu); });
  std::this_thread::sleep_for(absl::ToChronoNanoseconds(duration / 2));
  beside = quiet.Run(1, duration, no_cpu);
  flooding.join();
  std::cout << absl::StreamFormat(
      "\n## One model's flood beside another model: %s\n\n%d cores, the callers on the same; %.0f s each. "
      "%d callers flood a copy of the model that one caller uses.\n\n"
      "| | requests/s | p50, µs | p99, µs |\n|---|---|---|---|\n",
      model.filename().string(), std::thread::hardware_concurrency(), absl::ToDoubleSeconds(duration),
      kFlood);
  PrintRow("one caller, alone", alone);
  PrintRow("one caller, beside the flood", beside);
  PrintRow("the flood, alone", flood_alone);
  PrintRow("the flood, beside one caller", flood);
}

}  // namespace
}  // namespace calserve::load

int main(int argc, char** argv) {
  try {
    const std::string model = argc > 1 ? argv[1] : calserve::e2e::DemoModels() + "/fashion_mnist";
    calserve::load::Run(std::filesystem::canonical(model), absl::Seconds(argc > 2 ? std::atof(argv[2]) : 3));
  } catch (const std::exception& error) {
    std::cerr << "fairness_benchmark: " << error.what() << "\n";
    return 1;
  }
}
