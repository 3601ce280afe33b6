// The main job on real images, over gRPC only: predict, label, watch the rolling ECE, fit, activate, predict
// better. Every figure comes from the server's reports over the labels it stored.

#include <cstdio>
#include <filesystem>

#include "CLI/CLI.hpp"
#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "calibration_io/file.h"
#include "calibration_io/json_values.h"
#include "client/cli/json_output.h"
#include "client/cli/metrics_table.h"
#include "client/cli/reliability_text.h"
#include "client/cli/report_html.h"
#include "client/cli/security_options.h"
#include "client/cli/session.h"
#include "client/client.h"
#include "examples/fashion_mnist/images.h"
#include "examples/fashion_mnist/labelled_run.h"
#include "examples/fashion_mnist/server_process.h"

namespace calserve::demo {
namespace {

namespace fs = std::filesystem;

constexpr char kModel[] = "fashion_mnist";
constexpr size_t kHalf = 5000;

struct Options {
  std::string server;              // one that runs; empty: one of our own, of server_binary
  client::ClientOptions security;  // of which only what is about TLS and tokens counts; for `server`
  std::string server_binary;
  std::string model_repository;
  std::string data = "/usr/share/datasets/fashion-mnist";
  std::string out = "report.html";
  std::string figures;
  std::string keep_data;
};

// What the demo arrives at.
struct Figures {
  client::WindowReport first;                  // the first half, uncalibrated
  std::vector<client::CalibratorInfo> fitted;  // temperature, Platt
  client::CalibratorInfo active;
  client::WindowReport second;  // the second half: as served, and what plain softmax would have been

  const CalibrationMetrics& before() const { return second.uncalibrated; }
  const CalibrationMetrics& after() const { return second.served; }
};

absl::StatusOr<client::WindowReport> StoredReport(const Client& client, int64_t calibrator_version) {
  client::ReportRequest request;
  request.model = kModel;
  request.calibrator_version = calibrator_version;
  request.data = client::StoredSelection{};
  return client.GetCalibrationReport(request);
}

double CrossValidatedNll(const client::CalibratorInfo& calibrator) {
  return calibrator.report.value_or(FitReport())
      .cross_validated.value_or(CalibrationMetrics())
      .nll.value_or(kMaxNll);
}

void PrintFit(const client::CalibratorInfo& fitted, const cli::Terminal& terminal) {
  const FitReport report = fitted.report.value_or(FitReport());
  cli::Print(absl::StrCat("\n",
                          terminal.Bold(absl::StrCat("calibrator ", fitted.version, ": ", fitted.method)),
                          report.at_bound ? "  (at a bound)" : "", "\n"));
  std::vector<cli::NamedMetrics> columns = {{"before", report.before}, {"after", report.after}};
  if (report.cross_validated.has_value()) {
    columns.push_back({absl::StrCat("left out, ", report.folds, "-fold"), *report.cross_validated});
  }
  cli::Print(cli::MetricsTable(columns, terminal));
}

// Step 2: fits both on the stored labels and activates the one that does better on rows left out of its fit.
absl::Status FitAndActivate(const Client& client, const cli::Terminal& terminal, Figures* figures) {
  for (const CalibrationMethod method : {CalibrationMethod::kTemperature, CalibrationMethod::kPlatt}) {
    client::FitRequest request;
    request.model = kModel;
    request.method = method;
    const absl::StatusOr<client::CalibratorInfo> fitted = client.FitCalibrator(request);
    if (!fitted.ok()) return fitted.status();
    PrintFit(*fitted, terminal);
    figures->fitted.push_back(*fitted);
  }
  const client::CalibratorInfo& better =
      CrossValidatedNll(figures->fitted[1]) < CrossValidatedNll(figures->fitted[0]) ? figures->fitted[1]
                                                                                    : figures->fitted[0];
  const absl::StatusOr<client::CalibratorInfo> active =
      client.ActivateCalibrator(kModel, better.model_version, better.version, /*expected_active_version=*/0);
  if (!active.ok()) return active.status();
  figures->active = *active;
  cli::Print(absl::StrCat("\nactivated calibrator ", active->version, " (", active->method,
                          "): the lower NLL on rows left out of the fit\n"));
  return absl::OkStatus();
}

absl::StatusOr<Figures> RunSteps(const Client& client, absl::Span<const LabelledPng> images,
                                 const cli::Terminal& terminal) {
  Figures figures;
  cli::Print(terminal.Bold("\n1  5,000 images predicted uncalibrated, their labels streamed back\n"));
  absl::Status status =
      PredictAndLabel(client, kModel, images.subspan(0, kHalf), /*beside_uncalibrated=*/false);
  if (!status.ok()) return status;
  absl::StatusOr<client::WindowReport> report = StoredReport(client, 0);
  if (!report.ok()) return report.status();
  figures.first = *std::move(report);

  cli::Print(terminal.Bold("\n2  calibrators fitted on those labels\n"));
  if (status = FitAndActivate(client, terminal, &figures); !status.ok()) return status;

  cli::Print(terminal.Bold("\n3  the other 5,000 images, calibrated\n"));
  status = PredictAndLabel(client, kModel, images.subspan(kHalf, kHalf), /*beside_uncalibrated=*/true);
  if (!status.ok()) return status;
  report = StoredReport(client, figures.active.version);
  if (!report.ok()) return report.status();
  figures.second = *std::move(report);
  return figures;
}

std::vector<cli::NamedMetrics> Columns(const Figures& figures) {
  return {{"uncalibrated", figures.before()}, {figures.active.method, figures.after()}};
}

absl::Status WriteFiles(const Figures& figures, const Options& options) {
  const std::vector<std::string> paragraphs = {
      absl::StrCat("The second ", figures.after().n,
                   " test images of Fashion-MNIST: plain softmax, and calibrator ", figures.active.version,
                   " (", figures.active.method, "), which was fitted on the first ", figures.first.served.n,
                   "."),
      absl::StrCat("Computed by the server from the labels it stored, up to label ", figures.second.position,
                   "."),
  };
  absl::Status status = WriteWholeFile(
      options.out,
      cli::ReportHtml("Fashion-MNIST, before and after calibration", paragraphs, Columns(figures)));
  if (!status.ok() || options.figures.empty()) return status;
  nlohmann::ordered_json fitted = nlohmann::ordered_json::array();
  for (const client::CalibratorInfo& calibrator : figures.fitted) fitted.push_back(cli::ToJson(calibrator));
  const nlohmann::ordered_json json = {{"first", cli::ToJson(figures.first)},
                                       {"fitted", std::move(fitted)},
                                       {"active", cli::ToJson(figures.active)},
                                       {"second", cli::ToJson(figures.second)}};
  return WriteWholeFile(options.figures, json.dump(2) + "\n");
}

double HalfWidth(const CalibrationMetrics& metrics) {
  return (metrics.ece_high.value_or(1) - metrics.ece_low.value_or(0)) / 2;
}

// What the demo promises: on the second half NLL falls, and ECE falls by more than the half-width of its
// interval (the wider of the two).
absl::Status Judge(const Figures& figures) {
  const CalibrationMetrics& before = figures.before();
  const CalibrationMetrics& after = figures.after();
  if (after.n != kHalf || before.n != kHalf || !after.nll.has_value() || !before.nll.has_value()) {
    return absl::InternalError(
        absl::StrCat("a report over ", kHalf, " labels with logits is expected; has ", after.n));
  }
  const double half_width = std::max(HalfWidth(before), HalfWidth(after));
  if (*after.nll >= *before.nll || before.ece - after.ece <= half_width) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "calibration did not help: NLL %.4f to %.4f, ECE %.4f to %.4f (a fall of more than %.4f is needed)",
        *before.nll, *after.nll, before.ece, after.ece, half_width));
  }
  return absl::OkStatus();
}

// The folder for the server's data, removed at the end unless it is to be kept.
absl::StatusOr<fs::path> DataDir(const Options& options) {
  std::error_code error;
  if (!options.keep_data.empty()) {
    fs::create_directories(options.keep_data, error);
    if (error || !fs::is_empty(options.keep_data, error) || error) {
      return absl::InvalidArgumentError(
          absl::StrCat("--keep-data must name a new or empty folder; was ", options.keep_data));
    }
    return fs::path(options.keep_data);
  }
  std::string path = (fs::temp_directory_path() / "calserve-demo-XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot create ", path));
  return fs::path(path);
}

// The four steps on a server that serves, with an empty store.
absl::Status RunOn(const std::string& target, const client::ClientOptions& security, const Options& options,
                   absl::Span<const LabelledPng> images, absl::Time start) {
  const cli::Terminal terminal = cli::Terminal::Detect(stdout);
  cli::Session session;
  session.server = target;
  session.security = security;
  const absl::StatusOr<Client> client = session.Connect();
  if (!client.ok()) return client.status();
  cli::Print(absl::StrCat("calserve-server serves ", kModel, " on ", target, "\n"));

  const absl::StatusOr<Figures> figures = RunSteps(*client, images, terminal);
  if (!figures.ok()) return figures.status();
  cli::Print(absl::StrCat(terminal.Bold("\n4  the second 5,000, before and after\n"),
                          cli::MetricsTable(Columns(*figures), terminal)));
  for (const cli::NamedMetrics& column : Columns(*figures)) {
    cli::Print(
        absl::StrCat("\n", terminal.Bold(column.name), "\n", cli::ReliabilityText(column.metrics, terminal)));
  }
  if (absl::Status status = WriteFiles(*figures, options); !status.ok()) return status;
  if (absl::Status status = Judge(*figures); !status.ok()) return status;
  cli::Print(absl::StrFormat("\nNLL %.4f to %.4f, ECE %.4f to %.4f. %s has both diagrams. %.1f s.\n",
                             *figures->before().nll, *figures->after().nll, figures->before().ece,
                             figures->after().ece, options.out, absl::ToDoubleSeconds(absl::Now() - start)));
  return absl::OkStatus();
}

// The same on a server that is started for it and ended the way an operator does.
absl::Status RunOnOwnServer(const Options& options, absl::Span<const LabelledPng> images, absl::Time start) {
  const absl::StatusOr<fs::path> data_dir = DataDir(options);
  if (!data_dir.ok()) return data_dir.status();
  const absl::Cleanup remove_data = [&] {
    std::error_code ignored;
    if (options.keep_data.empty()) fs::remove_all(*data_dir, ignored);
  };
  const absl::StatusOr<std::unique_ptr<ServerProcess>> server = ServerProcess::Start(
      {options.server_binary, options.model_repository, data_dir->string()}, absl::Seconds(30));
  if (!server.ok()) return server.status();
  const absl::Status ran = RunOn((*server)->target(), {}, options, images, start);
  const absl::Status stopped = (*server)->Stop(absl::Seconds(20));
  return ran.ok() ? stopped : ran;
}

absl::Status Run(const Options& options) {
  const absl::Time start = absl::Now();
  const absl::StatusOr<std::vector<LabelledPng>> images = ReadTestImages(options.data);
  if (!images.ok()) return images.status();
  if (images->size() < 2 * kHalf) {
    return absl::InvalidArgumentError(
        absl::StrCat("the demo needs ", 2 * kHalf, " images; ", options.data, " has ", images->size()));
  }
  return options.server.empty() ? RunOnOwnServer(options, *images, start)
                                : RunOn(options.server, options.security, options, *images, start);
}

int Main(int argc, char** argv) {
  CLI::App app("The main job of calserve on the 10,000 test images of Fashion-MNIST.");
  Options options;
  CLI::Option* const server = app.add_option(
      "--server", options.server, "host:port of a server that serves fashion_mnist, with an empty store");
  CLI::Option* const binary =
      app.add_option("--server-binary", options.server_binary, "calserve-server, to start one")
          ->check(CLI::ExistingFile)
          ->excludes(server);
  CLI::Option* const models =
      app.add_option("--model-repository", options.model_repository, "folder that holds fashion_mnist")
          ->check(CLI::ExistingDirectory)
          ->excludes(server);
  binary->needs(models);
  models->needs(binary);
  app.add_option("--data", options.data, "folder of Debian's dataset-fashion-mnist")->capture_default_str();
  app.add_option("--out", options.out, "the report as a page")->capture_default_str();
  app.add_option("--figures", options.figures, "write every figure there, as JSON");
  app.add_option("--keep-data", options.keep_data, "let the server keep its store in this new folder")
      ->needs(binary);
  cli::AddSecurityOptions(&app, &options.security);
  try {
    app.parse(argc, argv);
    if (server->empty() && binary->empty()) throw CLI::RequiredError("--server or --server-binary");
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? cli::kDone : cli::kUsage;
  }
  const absl::Status status = Run(options);
  if (!status.ok()) std::fputs(absl::StrCat("calserve-demo: ", status.message(), "\n").c_str(), stderr);
  return cli::ExitCodeOf(status);
}

}  // namespace
}  // namespace calserve::demo

int main(int argc, char** argv) { return calserve::demo::Main(argc, argv); }
