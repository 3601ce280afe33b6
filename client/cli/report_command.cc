#include <memory>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "calibration/calibrator.h"
#include "calibration_io/calibrator_json.h"
#include "calibration_io/file.h"
#include "calibration_io/json_values.h"
#include "calibration_io/labelled_logits_file.h"
#include "client/cli/alarm_text.h"
#include "client/cli/commands.h"
#include "client/cli/json_output.h"
#include "client/cli/report_output.h"
#include "client/cli/requirements.h"
#include "client/cli/selection_text.h"

namespace calserve::cli {
namespace {

struct Options {
  ReportFiles files;
  // Offline:
  std::string logits, labels, calibrator;
  int bins = kDefaultBins;
  // With a server:
  std::string model;
  int64_t model_version = 0;
  int64_t calibrator_version = -1;
  std::string window = "last_1000";
  bool stored = false;
  std::vector<std::string> sources, excluded_sources;
  int64_t max_rows = 0;
};

absl::StatusOr<Calibrator> ReadCalibrator(const std::string& path, int classes) {
  if (path.empty()) return Calibrator::None(classes);
  const absl::StatusOr<std::string> text = ReadWholeFile(path);
  if (!text.ok()) return text.status();
  const absl::StatusOr<CalibratorDocument> document = CalibratorFromJson(*text);
  if (!document.ok())
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", document.status().message()));
  if (document->spec.classes != classes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is for ", document->spec.classes, " classes; the logits have ", classes));
  }
  return Calibrator::Create(document->spec);
}

absl::Status ReportOffline(const Options& options, Session& session) {
  const absl::StatusOr<LabelledLogitsFile> data = ReadLabelledLogits(options.logits, options.labels);
  if (!data.ok()) return data.status();
  const absl::StatusOr<Calibrator> calibrator = ReadCalibrator(options.calibrator, data->view().classes());
  if (!calibrator.ok()) return calibrator.status();
  const absl::StatusOr<CalibrationMetrics> metrics =
      Evaluate(*calibrator, data->view(), data->labels, options.bins);
  if (!metrics.ok()) return metrics.status();
  const std::vector<NamedMetrics> columns = {{MethodName(calibrator->spec().method), *metrics}};
  if (session.json) {
    session.answer = MetricsToJsonValue(*metrics);
  } else {
    Print(ReportText(columns, session.terminal));
  }
  return WriteReportFiles(options.files, options.logits, columns);
}

client::ReportRequest MakeRequest(const Options& options, const std::string& model) {
  client::ReportRequest request;
  request.model = model;
  request.model_version = options.model_version;
  if (options.calibrator_version >= 0) request.calibrator_version = options.calibrator_version;
  request.data = options.window;
  if (options.stored) {
    client::StoredSelection stored;
    stored.sources = options.sources;
    stored.excluded_sources = options.excluded_sources;
    stored.max_rows = options.max_rows;
    request.data = stored;
  }
  return request;
}

absl::Status ReportOfServer(const Options& options, Session& session) {
  const absl::StatusOr<Client> client = session.Connect();
  if (!client.ok()) return client.status();
  const absl::StatusOr<client::ModelInfo> model = FindModel(*client, options.model);
  if (!model.ok()) return model.status();
  const absl::StatusOr<client::WindowReport> report =
      client->GetCalibrationReport(MakeRequest(options, model->name));
  if (!report.ok()) return report.status();
  const std::vector<NamedMetrics> columns = {{"served", report->served},
                                             {"uncalibrated", report->uncalibrated}};
  const std::string title =
      absl::StrCat(report->model, "/", report->model_version, " calibrator ", report->calibrator_version,
                   ", ", report->window.empty() ? "stored labels" : report->window);
  if (session.json) {
    session.answer = ToJson(*report);
  } else {
    Print(absl::StrCat(session.terminal.Bold(title), ", as of label ", report->position, " (",
                       TimeText(report->time), ")\n\n", ReportText(columns, session.terminal)));
    if (report->alarm.has_value()) Print(absl::StrCat("\n", AlarmLine(*report->alarm), "\n"));
    if (report->selection.has_value()) Print(absl::StrCat(SelectionLine(*report->selection), "\n"));
    if (report->catching_up) Print("the server is still reading its log: this is not yet all of it\n");
  }
  return WriteReportFiles(options.files, title, columns);
}

absl::Status Run(const Options& options, Session& session) {
  return options.logits.empty() ? ReportOfServer(options, session) : ReportOffline(options, session);
}

}  // namespace

void AddReport(CLI::App* app, Session* session) {
  CLI::App* const command = app->add_subcommand(
      "report", "Report calibration: offline from --logits and --labels, else of the server's labels");
  const auto options = std::make_shared<Options>();
  command->add_option("--svg", options->files.svg, "write the reliability diagram there");
  command->add_option("--html", options->files.html, "write the report as a page there");

  const std::string offline_group = "Offline";
  CLI::Option* const logits =
      command->add_option("--logits", options->logits, "N x K, .npy (float32, float64) or .csv")
          ->group(offline_group);
  CLI::Option* const labels =
      command->add_option("--labels", options->labels, "N class indices, .npy or .csv")->group(offline_group);
  logits->needs(labels);
  labels->needs(logits);
  CLI::Option* const calibrator =
      command
          ->add_option("--calibrator", options->calibrator, "a calibrator.json to apply; else plain softmax")
          ->group(offline_group);
  CLI::Option* const bins = command->add_option("--bins", options->bins, "of equal width")
                                ->check(CLI::Range(1, kMaxBins))
                                ->capture_default_str()
                                ->group(offline_group);

  const std::string server_group = "Server";
  CLI::Option* const model =
      command->add_option("--model", options->model, "model; the only one if there is one")
          ->group(server_group);
  CLI::Option* const model_version =
      command->add_option("--model-version", options->model_version, "0: the newest ready one")
          ->group(server_group);
  CLI::Option* const calibrator_version =
      command->add_option("--calibrator-version", options->calibrator_version, "else the active one")
          ->check(CLI::NonNegativeNumber)
          ->group(server_group);
  CLI::Option* const window = command->add_option("--window", options->window, "a live window")
                                  ->capture_default_str()
                                  ->group(server_group);
  CLI::Option* const stored =
      command->add_flag("--stored", options->stored, "all stored labels of the calibrator version")
          ->excludes(window)
          ->group(server_group);

  const std::string stored_group = "Server, with --stored";
  CLI::Option* const source =
      command->add_option("--source", options->sources, "only labels of these sources")->group(stored_group);
  CLI::Option* const exclude_source =
      command->add_option("--exclude-source", options->excluded_sources, "no labels of these sources")
          ->group(stored_group);
  CLI::Option* const max_rows = command->add_option("--max-rows", options->max_rows, "only the newest labels")
                                    ->check(CLI::NonNegativeNumber)
                                    ->group(stored_group);
  command->callback([=] {
    const bool offline = !options->logits.empty();
    session->result = CheckRequirements(
        {{offline, "an offline report: give --logits and --labels", {calibrator, bins}},
         {!offline,
          "a report of the server: leave out --logits and --labels",
          {model, model_version, calibrator_version, window, stored, source, exclude_source, max_rows}},
         {options->stored, "--stored", {source, exclude_source, max_rows}}});
    if (session->result.ok()) session->result = Run(*options, *session);
  });
}

}  // namespace calserve::cli
