// The served model beside what it is made of, in one run on the same cores: requests a second, latency and
// server CPU of LibTorch alone (raw: the model as calserve-server prepares it; of a .pt also as it was saved,
// as LibTorch runs it by itself), of a bare gRPC server exchanging the same bytes (echo), of one that runs
// the model before it answers and does nothing else (least) and of calserve-server (served), and labels a
// second made durable over gRPC. Writes Markdown. What the ratios mean: design.md, section 10.
//
//   load_benchmark [--blocking] [--at CONCURRENCY] [--photo FILE] [MODEL_DIRECTORY [SECONDS [ROUNDS
//   [SERVER_FLAG...]]]]
//
// SECONDS of one measurement; medians over ROUNDS, of the bars too: the machine may change from round to
// round. Every process is started anew in each: by the memory that it happens to get, one is some percent
// faster than the next for as long as it runs; but labels are sent to one server. --blocking: the callers,
// and echo's two sides, use gRPC's synchronous API, as most programs that call a server do; else its callback
// API, and what is sent is ready in bytes, the fastest there is. --at: one concurrency, else 1, 8 and 32.
// --photo: an image file is sent, not a tensor; there is no least then, and raw is measured twice, with a
// tensor that is there and decoding the file too. Labels are measured with the demo model, which is the
// default.
#include <algorithm>
#include <compare>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "tests/benchmarks/load/bars.h"
#include "tests/benchmarks/load/load_client.h"
#include "tests/benchmarks/load/one_model_server.h"
#include "tests/benchmarks/load/scrape.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"

namespace calserve::load {
namespace {

namespace fs = std::filesystem;

struct Options {
  Calls calls = Calls::kCallback;
  std::vector<int> concurrencies = {1, 8, 32};
  absl::Duration duration;  // of one measurement
  int rounds = 3;
  std::vector<std::string> server_flags;
};

class LoadBenchmark {
 public:
  LoadBenchmark(const ModelArguments& arguments, const Options& options)
      : arguments_(arguments), options_(options) {
    const OneModelServer server(arguments_, options_.server_flags);
    model_ = server.model();
    request_ = server.request();
    input_text_ = server.InputText();
    WriteResponse(server.address());
  }

  void Run() {
    for (int round = 0; round < options_.rounds; ++round) RunRound();
    if (arguments_.model != fs::canonical(e2e::DemoModels() + "/fashion_mnist")) return;
    OneModelServer server(arguments_, options_.server_flags);
    for (int round = 0; round < options_.rounds; ++round) {
      feedback_.push_back(MeasureFeedback(server.address(), kLabels, kStreams, kBatch));
    }
  }

  void Print() const {
    std::cout << absl::StreamFormat(
        "\n## Served, beside raw and echo: %s\n\n"
        "%d cores, the client on the same, %s; client, echo and least with gRPC from " CALSERVE_BASELINE_GRPC
        ", served from archives; %.1f s a measurement, medians of %d interleaved rounds. One "
        "%s "
        "a request, top 5 in the answer.\n\n"
        "| concurrency | | a second | p50, µs | p99, µs | server CPU each, µs |\n|---|---|---|---|---|---|\n",
        (arguments_.model.filename() / ModelFile().filename()).string(), std::thread::hardware_concurrency(),
        options_.calls == Calls::kBlocking ? "every call blocks a thread"
                                           : "calls with callbacks, of bytes that are ready",
        absl::ToDoubleSeconds(options_.duration), options_.rounds, input_text_);
    for (const int concurrency : options_.concurrencies) {
      PrintRow(concurrency, "raw", Median(Best(raw_.at(concurrency))));
      if (!raw_as_saved_.empty())
        PrintRow(concurrency, "raw, as saved", Median(Best(raw_as_saved_.at(concurrency))));
      if (!raw_decoding_.empty())
        PrintRow(concurrency, "raw, decoding", Median(Best(raw_decoding_.at(concurrency))));
      PrintRow(concurrency, "echo", Median(echo_.at(concurrency)));
      if (!least_.empty()) {
        for (const auto& [instances, rounds] : least_.at(concurrency))
          PrintRow(concurrency, absl::StrFormat("least, %d thread(s)", instances), Median(rounds));
      }
      PrintRow(concurrency, "served", Median(served_.at(concurrency)));
    }
    PrintBars(Measured(raw_), std::cout);
    if (!raw_as_saved_.empty()) {
      std::cout << "\nThe same beside raw as it was saved:\n";
      PrintBars(Measured(raw_as_saved_), std::cout);
    }
    if (!raw_decoding_.empty()) {
      std::cout << "\nThe same beside raw that decodes the file, too:\n";
      PrintBars(Measured(raw_decoding_), std::cout);
    }
    PrintSplit();
    if (feedback_.empty()) return;
    std::cout << absl::StreamFormat(
        "\nDurable feedback over gRPC, %d streams of batches of %d, K = 10: **%.0f labels/s** (median of "
        "%d).\n",
        kStreams, kBatch, Median(feedback_), options_.rounds);
  }

 private:
  // How LibTorch alone is run: raw is what the best of these does.
  struct RawSetting {
    int instances, threads;  // of each instance
    auto operator<=>(const RawSetting&) const = default;
  };
  using RawRounds = std::map<RawSetting, std::vector<Measurement>>;

  // Another server, for a round, and the callers of it.
  class OtherServer {
   public:
    OtherServer(const std::vector<std::string>& command, const v1::PredictRequest& request,
                const Options& options)
        : options_(options), process_(command), client_(Address(), request, options.calls) {
      Run(options_.concurrencies.back());  // to warm up
    }
    Measurement Run(int concurrency) {
      return client_.Run(concurrency, options_.duration, [this] { return process_.CpuTime(); });
    }

   private:
    std::string Address() const {
      const auto address = process_.WaitForLine("serving address=", absl::Seconds(20));
      if (!address.has_value()) throw std::runtime_error(process_.log());
      return *address;
    }

    const Options& options_;
    e2e::ChildProcess process_;
    LoadClient client_;
  };

  // The same of calserve-server.
  class ServedModel {
   public:
    ServedModel(const ModelArguments& arguments, const Options& options)
        : options_(options),
          server_(arguments, options.server_flags),
          client_(server_.address(), server_.request(), options.calls) {
      Run(options_.concurrencies.back());  // to warm up
    }
    Measurement Run(int concurrency) {
      return client_.Run(concurrency, options_.duration, [this] { return server_.process().CpuTime(); });
    }
    ServerTime Time() { return ScrapeServerTime(server_.process().admin_address()); }

   private:
    const Options& options_;
    OneModelServer server_;
    LoadClient client_;
  };

  static constexpr int kLabels = 20'000, kStreams = 8, kBatch = 100;

  void RunRound() {
    const bool photo = !arguments_.photo.empty();
    OtherServer echo({e2e::BuiltProgram("tests/benchmarks/load/echo_server"),
                      options_.calls == Calls::kBlocking ? "blocking" : "callback", ResponseFile()},
                     request_, options_);
    std::map<int, std::unique_ptr<OtherServer>> least;  // by instances
    for (const int instances : {1, 2}) {
      if (!photo)
        least[instances] = std::make_unique<OtherServer>(LeastCommand(instances), request_, options_);
    }
    ServedModel served(arguments_, options_);
    for (const int concurrency : options_.concurrencies) {
      for (const RawSetting& setting : RawSettings(concurrency)) {
        raw_[concurrency][setting].push_back(RunRaw(concurrency, setting, {}));
        // On the CPU, as it is saved.
        if (ModelFile().extension() == ".pt" && !photo && model_.versions(0).device() == "cpu")
          raw_as_saved_[concurrency][setting].push_back(RunRaw(concurrency, setting, {"--as-saved"}));
        if (!photo) continue;
        raw_decoding_[concurrency][setting].push_back(
            RunRaw(concurrency, setting, {"--photo", arguments_.photo, arguments_.model.string()}));
      }
      echo_[concurrency].push_back(echo.Run(concurrency));
      for (const auto& [instances, server] : least) {
        if (instances <= concurrency) least_[concurrency][instances].push_back(server->Run(concurrency));
      }
      const ServerTime before = served.Time();
      served_[concurrency].push_back(served.Run(concurrency));
      time_[concurrency].push_back(served.Time() - before);
    }
  }

  fs::path ModelFile() const {
    const fs::path package = arguments_.model / "1/model.pt2";
    return fs::exists(package) ? package : arguments_.model / "1/model.pt";
  }
  std::string ResponseFile() const { return scratch_ / "response"; }
  // The answer that the other servers give.
  void WriteResponse(const std::string& address) const {
    const auto reply = e2e::Api(address).Predict(request_);
    if (!reply.ok()) throw std::runtime_error(reply.status.message);
    std::ofstream(ResponseFile(), std::ios::binary) << reply.response.SerializeAsString();
  }
  std::vector<std::string> LeastCommand(int instances) const {
    std::vector<std::string> command = {e2e::BuiltProgram("tests/benchmarks/load/echo_model_server"),
                                        ResponseFile(), ModelFile().string(),
                                        std::to_string(model_.labels_size()), std::to_string(instances)};
    for (const int64_t dimension : model_.input_shape()) command.push_back(std::to_string(dimension));
    return command;
  }

  static std::set<RawSetting> RawSettings(int in_flight) {
    const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    std::set<RawSetting> settings;
    for (const int instances : {1, 2}) {
      if (instances > in_flight) continue;
      for (const int threads : {1, std::max(1, cores / instances)}) settings.insert({instances, threads});
    }
    return settings;
  }
  Measurement RunRaw(int in_flight, const RawSetting& setting,
                     const std::vector<std::string>& options) const {
    std::vector<std::string> command = {e2e::BuiltProgram("tests/benchmarks/load/raw_forward")};
    command.insert(command.end(), options.begin(), options.end());
    command.insert(command.end(),
                   {ModelFile().string(), std::to_string(model_.labels_size()), std::to_string(in_flight),
                    std::to_string(setting.instances), std::to_string(setting.threads),
                    std::to_string(absl::ToDoubleSeconds(options_.duration))});
    for (const int64_t dimension : model_.input_shape()) command.push_back(std::to_string(dimension));
    e2e::ChildProcess raw(command);
    const auto line = raw.WaitForLine("raw ", absl::Minutes(2) + options_.duration);
    if (!line.has_value()) throw std::runtime_error(raw.log());
    double per_second = 0, p50 = 0, p99 = 0, cpu = 0;
    std::istringstream(*line) >> per_second >> p50 >> p99 >> cpu;
    return {per_second, absl::Nanoseconds(p50), absl::Nanoseconds(p99), absl::Nanoseconds(cpu)};
  }

  std::vector<AtConcurrency> Measured(const std::map<int, RawRounds>& raw) const {
    std::vector<AtConcurrency> measured;
    for (const int concurrency : options_.concurrencies) {
      measured.push_back({concurrency, Best(raw.at(concurrency)), echo_.at(concurrency),
                          least_.empty() ? LeastRounds() : least_.at(concurrency), served_.at(concurrency)});
    }
    return measured;
  }
  static void PrintRow(int concurrency, const std::string& what, const Measurement& m) {
    std::cout << absl::StreamFormat("| %d | %s | %.0f | %.0f | %.0f | %.0f |\n", concurrency, what,
                                    m.per_second, absl::ToDoubleMicroseconds(m.p50),
                                    absl::ToDoubleMicroseconds(m.p99),
                                    absl::ToDoubleMicroseconds(m.cpu_each));
  }
  // Microseconds a request, the median of the rounds.
  double EachMicros(int concurrency, const std::function<double(const ServerTime&)>& seconds) const {
    std::vector<double> each;
    for (const ServerTime& time : time_.at(concurrency)) each.push_back(1e6 * seconds(time) / time.requests);
    return Median(std::move(each));
  }
  void PrintSplitRow(const std::string& what, const std::function<double(const ServerTime&)>& seconds) const {
    std::cout << "| " << what << " |";
    for (const int concurrency : options_.concurrencies)
      std::cout << absl::StreamFormat(" %.1f |", EachMicros(concurrency, seconds));
    std::cout << "\n";
  }
  void PrintSplit() const {
    std::cout << "\nWhere a served request's time goes, µs, by the server's own clocks (/metrics), and which "
                 "threads' CPU it takes:\n\n| |";
    for (const int concurrency : options_.concurrencies) std::cout << " at " << concurrency << " |";
    std::cout << "\n|---|";
    for (size_t i = 0; i < options_.concurrencies.size(); ++i) std::cout << "---|";
    std::cout << "\n";
    for (const char* part : kParts)
      PrintSplitRow(part, [part](const ServerTime& time) { return time.parts.at(part); });
    for (const char* threads : kThreads) {
      PrintSplitRow(std::string("CPU of threads: ") + threads,
                    [threads](const ServerTime& time) { return time.threads.at(threads); });
    }
    PrintSplitRow("CPU of the process", [](const ServerTime& time) { return time.process_cpu; });
    // With one thread a forward pass, what the server takes beside it, at least: where others are on the same
    // cores a pass takes longer than it takes their time. To be held against echo's.
    PrintSplitRow("CPU of the process less compute's time",
                  [](const ServerTime& time) { return time.process_cpu - time.parts.at("compute"); });
  }

  const ModelArguments arguments_;
  const Options options_;
  const e2e::TempDir scratch_;
  v1::Model model_;
  v1::PredictRequest request_;
  std::string input_text_;
  std::map<int, RawRounds> raw_;                           // by concurrency
  std::map<int, RawRounds> raw_as_saved_;                  // the same of a .pt
  std::map<int, RawRounds> raw_decoding_;                  // the same of a photo
  std::map<int, LeastRounds> least_;                       // by concurrency
  std::map<int, std::vector<Measurement>> echo_, served_;  // by concurrency, one a round
  std::map<int, std::vector<ServerTime>> time_;            // the same of served, by its own clocks
  std::vector<double> feedback_;
};

}  // namespace
}  // namespace calserve::load

int main(int argc, char** argv) {
  try {
    calserve::load::Options options;
    for (bool more = true; more;) {
      const std::string option = argc > 1 ? argv[1] : "";
      if (option == "--blocking") {
        options.calls = calserve::load::Calls::kBlocking;
        --argc, ++argv;
      } else if (option == "--at" && argc > 2 && std::atoi(argv[2]) > 0) {
        options.concurrencies = {std::atoi(argv[2])};
        argc -= 2, argv += 2;
      } else {
        more = false;
      }
    }
    const auto arguments =
        calserve::load::ModelArguments::Parse(argc, argv, calserve::e2e::DemoModels() + "/fashion_mnist", "");
    const std::vector<std::string>& rest = arguments.rest;
    options.duration = absl::Seconds(!rest.empty() ? std::atof(rest[0].c_str()) : 3);
    if (rest.size() > 1) options.rounds = std::max(1, std::atoi(rest[1].c_str()));
    if (rest.size() > 2) options.server_flags.assign(rest.begin() + 2, rest.end());
    calserve::load::LoadBenchmark benchmark(arguments, options);
    benchmark.Run();
    benchmark.Print();
  } catch (const std::exception& error) {
    std::cerr << "load_benchmark: " << error.what() << "\n";
    return 1;
  }
}
