// A server that is offered three times what it can do: how much it still does, how late, and how soon it says
// no. Open loop: requests come at random times whether or not earlier ones have been answered. Writes
// Markdown.
//
//   overload_benchmark [--photo FILE] MODEL_DIRECTORY [SECONDS [SERVER_FLAG...]]
//
// SECONDS of one measurement. Without flags the queue is as long as the server's default, 1,024 rows: a limit
// on the time in it (--batching-queue-timeout) is what keeps accepted requests early.
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <stdexcept>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "tests/benchmarks/load/load_client.h"
#include "tests/benchmarks/load/one_model_server.h"
#include "tests/benchmarks/load/open_loop.h"

namespace calserve::load {
namespace {

constexpr int kConcurrency = 16;  // of the closed loop that finds the capacity

void PrintRow(const char* what, const OpenLoopResult& r) {
  std::cout << absl::StreamFormat(
      "| %s | %.1f | %.1f | %.0f | %.0f | %d | %.2f | %.2f | %d |\n", what, r.offered_per_second,
      r.answered_per_second, absl::ToDoubleMilliseconds(r.answered_p50),
      absl::ToDoubleMilliseconds(r.answered_p99), r.refused, absl::ToDoubleMilliseconds(r.refused_p50),
      absl::ToDoubleMilliseconds(r.refused_p99), r.failed);
}

void PrintBar(const char* bar, double measured, bool met) {
  std::cout << absl::StreamFormat("| %s | %.2f | %s |\n", bar, measured, met ? "yes" : "**no**");
}

void Run(const ModelArguments& arguments, absl::Duration duration, const std::vector<std::string>& flags) {
  OneModelServer server(arguments, flags);
  LoadClient closed_loop(server.address(), server.request());
  const double capacity =
      closed_loop.Run(kConcurrency, duration, [] { return absl::ZeroDuration(); }).per_second;
  const OpenLoopResult busy = RunOpenLoop(server.address(), server.request(), 0.8 * capacity, duration);
  const OpenLoopResult overload = RunOpenLoop(server.address(), server.request(), 3 * capacity, duration);

  std::cout << absl::StreamFormat(
      "\n## Overload: %s\n\nCapacity %.1f requests/s (closed loop of %d for %.0f s); then open loop, %.0f s "
      "each. One "
      "%s a request. Server flags: %s.\n\n"
      "| offered | requests/s | answered/s | p50, ms | p99, ms | refused | refused p50, ms | refused p99, ms "
      "| failed |\n"
      "|---|---|---|---|---|---|---|---|---|\n",
      arguments.model.filename().string(), capacity, kConcurrency, absl::ToDoubleSeconds(duration),
      absl::ToDoubleSeconds(duration), server.InputText(),
      flags.empty() ? "none" : absl::StrJoin(flags, " "));
  PrintRow("80 %", busy);
  PrintRow("300 %", overload);
  std::cout << "\n| bar | measured | met |\n|---|---|---|\n";
  const double goodput = overload.answered_per_second / capacity;
  const double late = absl::FDivDuration(overload.answered_p99, busy.answered_p99);
  const double refused = absl::ToDoubleMilliseconds(overload.refused_p99);
  PrintBar("answered at 300 % / capacity ≥ 0.90", goodput, goodput >= 0.9);
  PrintBar("p99 of the answered at 300 % / p99 at 80 % ≤ 2", late, late <= 2);
  PrintBar("refusals in under 10 ms (p99, ms)", refused, refused < 10);
}

}  // namespace
}  // namespace calserve::load

int main(int argc, char** argv) {
  try {
    const auto arguments = calserve::load::ModelArguments::Parse(
        argc, argv, "",
        "usage: overload_benchmark [--photo FILE] MODEL_DIRECTORY [SECONDS [SERVER_FLAG...]]");
    const std::vector<std::string>& rest = arguments.rest;
    calserve::load::Run(arguments, absl::Seconds(rest.empty() ? 30 : std::atof(rest[0].c_str())),
                        {rest.begin() + std::min<size_t>(rest.size(), 1), rest.end()});
  } catch (const std::exception& error) {
    std::cerr << "overload_benchmark: " << error.what() << "\n";
    return 1;
  }
}
