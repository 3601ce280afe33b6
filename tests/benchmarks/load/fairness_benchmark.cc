// What one model's callers notice of another model's flood: latency of "quiet", called by one caller, alone
// and while "flooded" is called by many, and what two copies of that make when both are. Writes Markdown.
//
//   fairness_benchmark [FLOODED_MODEL_DIRECTORY [QUIET_MODEL_DIRECTORY [SECONDS [SERVER_FLAG...]]]]
//
// The demo model where no other is named.
#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "tests/benchmarks/load/load_client.h"
#include "tests/benchmarks/load/one_model_server.h"
#include "tests/end_to_end/api.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"

namespace calserve::load {
namespace {

namespace fs = std::filesystem;

constexpr int kFlood = 32;  // callers

v1::PredictRequest For(const std::string& address, const std::string& model) {
  const auto reply = e2e::Api(address).GetModel(model);
  if (!reply.ok()) throw std::runtime_error(reply.status.message);
  return RandomRequest(reply->model());
}

void PrintRow(const char* what, const Measurement& m) {
  std::cout << absl::StreamFormat("| %s | %.0f | %.0f | %.0f |\n", what, m.per_second,
                                  absl::ToDoubleMicroseconds(m.p50), absl::ToDoubleMicroseconds(m.p99));
}

void Run(const fs::path& flooded_model, const fs::path& quiet_model, absl::Duration duration,
         const std::vector<std::string>& flags) {
  const e2e::TempDir scratch;
  fs::create_directory(scratch / "models");
  for (const char* name : {"flooded", "second"}) {
    fs::create_directory_symlink(flooded_model, scratch / "models/" + name);
  }
  fs::create_directory_symlink(quiet_model, scratch / "models/quiet");
  e2e::ServerProcess server(
      e2e::ServerFlags{.model_repository = scratch / "models", .data_dir = scratch / "data", .more = flags});
  if (!server.WaitUntilServing()) throw std::runtime_error(server.log());
  const auto no_cpu = [] { return absl::ZeroDuration(); };
  const std::string& address = server.address();
  LoadClient quiet(address, For(address, "quiet")), flooded(address, For(address, "flooded")),
      second(address, For(address, "second"));
  const Measurement alone = quiet.Run(1, duration, no_cpu);
  const Measurement flood_alone = flooded.Run(kFlood, duration, no_cpu);
  Measurement flood, beside;
  std::jthread flooding([&] { flood = flooded.Run(kFlood, 2 * duration, no_cpu); });
  std::this_thread::sleep_for(absl::ToChronoNanoseconds(duration / 2));
  beside = quiet.Run(1, duration, no_cpu);
  flooding.join();
  Measurement first_of_two, second_of_two;
  std::jthread second_flood([&] { second_of_two = second.Run(kFlood, duration, no_cpu); });
  first_of_two = flooded.Run(kFlood, duration, no_cpu);
  second_flood.join();
  std::cout << absl::StreamFormat(
      "\n## A flood of %s beside one caller of %s\n\n%d cores, the callers on the same; %.0f s each; "
      "%d callers flood a model.\n\n"
      "| | requests/s | p50, µs | p99, µs |\n|---|---|---|---|\n",
      flooded_model.filename().string(), quiet_model.filename().string(), std::thread::hardware_concurrency(),
      absl::ToDoubleSeconds(duration), kFlood);
  PrintRow("one caller, alone", alone);
  PrintRow("one caller, beside the flood", beside);
  PrintRow("the flood, alone", flood_alone);
  PrintRow("the flood, beside one caller", flood);
  PrintRow("the flood, beside a second one", first_of_two);
  PrintRow("a second one", second_of_two);
}

}  // namespace
}  // namespace calserve::load

int main(int argc, char** argv) {
  try {
    const std::string demo = calserve::e2e::DemoModels() + "/fashion_mnist";
    calserve::load::Run(std::filesystem::canonical(argc > 1 ? argv[1] : demo),
                        std::filesystem::canonical(argc > 2 ? argv[2] : demo),
                        absl::Seconds(argc > 3 ? std::atof(argv[3]) : 3),
                        {argv + std::min(argc, 4), argv + argc});
  } catch (const std::exception& error) {
    std::cerr << "fairness_benchmark: " << error.what() << "\n";
    return 1;
  }
}
