#include <atomic>
#include <csignal>
#include <map>
#include <memory>
#include <thread>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/alarm_text.h"
#include "client/cli/attribute_option.h"
#include "client/cli/commands.h"
#include "client/cli/json_output.h"
#include "client/cli/metrics_table.h"
#include "client/cli/model_choice.h"
#include "client/cli/option_rules.h"
#include "client/cli/printable.h"
#include "client/cli/watch_screen.h"

namespace calserve::cli {
namespace {

struct Options {
  std::string model;
  int64_t model_version = 0;
  int64_t calibrator_version = -1;
  std::vector<std::string> windows;
  std::string interval = "1s";
  int64_t count = 0;
  std::string slice;
};

// Of an alarm that is raised; else nothing.
std::string AlarmNote(const client::WindowReport& report) {
  const bool raised = report.alarm.has_value() && report.alarm->state == client::AlarmInfo::State::kRaised;
  return raised ? absl::StrCat(" ", AlarmLine(*report.alarm)) : "";
}

std::string Line(const client::WindowReport& report) {
  const CalibrationMetrics& served = report.served;
  return absl::StrFormat(
      "%s %s/%d calibrator %d %s%s%s n %d ECE %s (floor %s) accuracy %s confidence %s NLL %s%s%s\n",
      TimeText(report.time), Printable(report.model), report.model_version, report.calibrator_version,
      SliceText(report.slice), report.slice.has_value() ? " " : "", Printable(report.window), served.n,
      FormatMetric(served, served.ece), FormatMetric(served, served.noise_floor),
      FormatMetric(served, served.accuracy), FormatMetric(served, served.mean_confidence),
      FormatMetric(served, served.nll), report.catching_up ? " (catching up)" : "", AlarmNote(report));
}

// The newest report of each window: drawn anew on a terminal, whatever size it has by then; else a line each.
class LiveView {
 public:
  explicit LiveView(const Terminal& terminal) : interactive_(terminal.interactive) {
    if (interactive_) Print("\x1b[2J");
  }

  void Show(const std::vector<client::WindowReport>& reports) {
    for (const client::WindowReport& report : reports) newest_[report.window] = report;
    if (!interactive_) {
      for (const client::WindowReport& report : reports) Print(Line(report));
      return;
    }
    const Terminal terminal = Terminal::Detect(stdout);
    Print(Redraw(WatchScreen(newest_, terminal), terminal));
  }

 private:
  const bool interactive_;
  std::map<std::string, client::WindowReport> newest_;
};

// Ends the watch on SIGINT or SIGTERM, so that the program leaves by its door. The signals must be blocked
// before the first thread starts, gRPC's among them, and are taken by this one.
class SignalStop {
 public:
  static void BlockSignals() {
    const sigset_t signals = Signals();
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  }

  explicit SignalStop(client::CalibrationWatch* watch) {
    thread_ = std::thread([this, watch] {
      const sigset_t signals = Signals();
      const timespec tick{0, 100'000'000};
      while (!done_) {
        if (sigtimedwait(&signals, nullptr, &tick) > 0) return watch->Cancel();
      }
    });
  }
  ~SignalStop() {
    done_ = true;
    thread_.join();
  }

 private:
  static sigset_t Signals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    return signals;
  }

  std::atomic<bool> done_ = false;
  std::thread thread_;
};

absl::Status Run(const Options& options, const Session& session) {
  client::WatchRequest request;
  request.model_version = options.model_version;
  if (options.calibrator_version >= 0) request.calibrator_version = options.calibrator_version;
  request.windows = options.windows;
  request.slice = ParseSlice(options.slice);
  if (!absl::ParseDuration(options.interval, &request.min_interval)) {
    return UsageError(
        absl::StrCat("--interval must be a duration such as 1s or 200ms; was ", options.interval));
  }
  if (request.min_interval < absl::Milliseconds(10) || request.min_interval > absl::Hours(1)) {
    return UsageError(absl::StrCat("--interval must be 10ms to 1h; was ", options.interval));
  }
  SignalStop::BlockSignals();
  const absl::StatusOr<Client> client = session.Connect();
  if (!client.ok()) return client.status();
  const absl::StatusOr<client::ModelInfo> model = FindModel(*client, options.model);
  if (!model.ok()) return model.status();
  request.model = model->name;
  const std::unique_ptr<client::CalibrationWatch> watch = client->WatchCalibration(request);
  const SignalStop stop(watch.get());
  LiveView view(session.terminal);
  for (int64_t updates = 0; options.count == 0 || updates < options.count; ++updates) {
    if (!OutputStatus().ok()) break;
    const absl::StatusOr<std::optional<std::vector<client::WindowReport>>> reports = watch->Next();
    if (!reports.ok()) return reports.status();
    if (!reports->has_value()) break;
    if (!session.json) {
      view.Show(**reports);
      continue;
    }
    for (const client::WindowReport& report : **reports) PrintJson(ToJson(report));
  }
  return absl::OkStatus();
}

}  // namespace

void AddWatch(CLI::App* app, Session* session) {
  CLI::App* const command = app->add_subcommand("watch", "Show live calibration as labels come in");
  const auto options = std::make_shared<Options>();
  command->add_option("--model", options->model, "model; the only one if there is one")->check(Name());
  command->add_option("--model-version", options->model_version, "0: the model's default version")
      ->check(WholeNumber(0));
  command
      ->add_option("--calibrator", options->calibrator_version,
                   "calibrator version; else the active one, whichever")
      ->check(WholeNumber(0));
  command->add_option("--window", options->windows, "last_1000, last_1h, decay_1h, ...; several may be given")
      ->check(Name());
  command->add_option("--slice", options->slice, "only labels with this attribute")->check(KeyValue());
  command->add_option("--interval", options->interval, "smallest time between updates")
      ->capture_default_str();
  command->add_option("--count", options->count, "stop after so many updates; 0: never")
      ->check(WholeNumber(0));
  command->callback([options, session] { session->result = Run(*options, *session); });
}

}  // namespace calserve::cli
