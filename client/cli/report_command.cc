#include <memory>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "calibration/calibrator.h"
#include "calibration/metrics/detailed_metrics.h"
#include "calibration_io/calibrator_json.h"
#include "calibration_io/json_values.h"
#include "calibration_io/labelled_logits_file.h"
#include "client/cli/alarm_text.h"
#include "client/cli/commands.h"
#include "client/cli/json_output.h"
#include "client/cli/model_choice.h"
#include "client/cli/option_rules.h"
#include "client/cli/report_output.h"
#include "client/cli/requirements.h"
#include "client/cli/selection_text.h"

namespace calserve::cli {
namespace {

struct Options {
  ReportFiles files;
  bool details = false;
  // Offline:
  std::string logits, labels;
  std::vector<std::string> calibrators;
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
  const absl::StatusOr<CalibratorDocument> document = ReadCalibratorFile(path, classes);
  if (!document.ok()) return document.status();
  return Calibrator::Create(document->spec);
}

// What the calibrator of the file (empty: plain softmax) does with the rows.
absl::StatusOr<NamedMetrics> Measure(const Options& options, const LabelledLogitsFile& data,
                                     const std::string& path) {
  const absl::StatusOr<Calibrator> calibrator = ReadCalibrator(path, data.view().classes());
  if (!calibrator.ok()) return calibrator.status();
  const absl::StatusOr<CalibrationMetrics> metrics =
      Evaluate(*calibrator, data.view(), data.labels, options.bins);
  if (!metrics.ok()) return metrics.status();
  NamedMetrics column{MethodName(calibrator->spec().method), *metrics};
  // One of several is told by its file.
  if (options.calibrators.size() > 1) column.name = absl::StrCat(column.name, " (", path, ")");
  if (!options.details) return column;
  absl::StatusOr<DetailedMetrics> details =
      EvaluateDetailed(*calibrator, data.view(), data.labels, {.bins = options.bins});
  if (!details.ok()) return details.status();
  column.details = *std::move(details);
  return column;
}

// The metrics of the one column, or "calibrators": a list of them with their names.
nlohmann::ordered_json ColumnsToJson(const std::vector<NamedMetrics>& columns) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const NamedMetrics& column : columns) {
    nlohmann::ordered_json one = MetricsToJsonValue(column.metrics);
    if (column.details.has_value()) one["details"] = DetailsToJsonValue(*column.details);
    if (columns.size() == 1) return one;
    one["name"] = column.name;
    all.push_back(std::move(one));
  }
  return {{"calibrators", std::move(all)}};
}

absl::Status ReportOffline(const Options& options, Session& session) {
  const absl::StatusOr<LabelledLogitsFile> data = ReadLabelledLogits(options.logits, options.labels);
  if (!data.ok()) return data.status();
  std::vector<NamedMetrics> columns;
  for (const std::string& path :
       options.calibrators.empty() ? std::vector<std::string>{""} : options.calibrators) {
    absl::StatusOr<NamedMetrics> column = Measure(options, *data, path);
    if (!column.ok()) return column.status();
    columns.push_back(*std::move(column));
  }
  if (session.json) {
    session.answer = ColumnsToJson(columns);
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
  request.detailed = options.details;
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
  const std::vector<NamedMetrics> columns = {
      {"served", report->served, report->served_details},
      {"uncalibrated", report->uncalibrated, report->uncalibrated_details}};
  const std::string title =
      absl::StrCat(report->model, "/", report->model_version, " calibrator ", report->calibrator_version,
                   ", ", report->window.empty() ? "stored labels" : report->window);
  if (session.json) {
    session.answer = ToJson(*report);
  } else {
    Print(absl::StrCat(session.terminal.Bold(title), ", as of label ", report->position, " (",
                       TimeText(report->time), ")\n\n", ReportText(columns, session.terminal)));
    if (report->shadow_after.has_value()) {
      Print(absl::StrCat("\na shadow: it never served; labels after position ", *report->shadow_after, "\n"));
    }
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

  CLI::Option* const details = command->add_flag(
      "--details", options->details, "every metric, offline or with --stored: docs/metrics.md lists them");

  const std::string offline_group = "Offline";
  CLI::Option* const logits =
      command->add_option("--logits", options->logits, "N x K, .npy (float32, float64) or .csv, up to 1 GiB")
          ->group(offline_group);
  CLI::Option* const labels =
      command->add_option("--labels", options->labels, "N class indices, .npy or .csv")->group(offline_group);
  logits->needs(labels);
  labels->needs(logits);
  CLI::Option* const calibrator =
      command
          ->add_option("--calibrator", options->calibrators,
                       "a calibrator.json to apply, else plain softmax; several stand side by side")
          ->group(offline_group);
  CLI::Option* const bins = command->add_option("--bins", options->bins, "of equal width")
                                ->check(WholeNumber(1, kMaxBins))
                                ->capture_default_str()
                                ->group(offline_group);

  const std::string server_group = "Server";
  CLI::Option* const model =
      command->add_option("--model", options->model, "model; the only one if there is one")
          ->check(Utf8())
          ->group(server_group);
  CLI::Option* const model_version =
      command->add_option("--model-version", options->model_version, "0: the model's default version")
          ->group(server_group);
  CLI::Option* const calibrator_version =
      command->add_option("--calibrator-version", options->calibrator_version, "else the active one")
          ->check(WholeNumber(0))
          ->group(server_group);
  CLI::Option* const window = command->add_option("--window", options->window, "a live window")
                                  ->check(Utf8())
                                  ->capture_default_str()
                                  ->group(server_group);
  CLI::Option* const stored =
      command->add_flag("--stored", options->stored, "all stored labels of the calibrator version")
          ->excludes(window)
          ->group(server_group);

  const std::string stored_group = "Server, with --stored";
  CLI::Option* const source =
      command->add_option("--source", options->sources, "only labels of these sources")
          ->check(Utf8())
          ->group(stored_group);
  CLI::Option* const exclude_source =
      command->add_option("--exclude-source", options->excluded_sources, "no labels of these sources")
          ->check(Utf8())
          ->group(stored_group);
  CLI::Option* const max_rows = command->add_option("--max-rows", options->max_rows, "only the newest labels")
                                    ->check(WholeNumber(0))
                                    ->group(stored_group);
  command->callback([=] {
    const bool offline = !options->logits.empty();
    session->result = CheckRequirements(
        {{offline, "an offline report: give --logits and --labels", {calibrator, bins}},
         {offline || options->stored, "the rows: give --logits and --labels, or --stored", {details}},
         {!offline,
          "a report of the server: leave out --logits and --labels",
          {model, model_version, calibrator_version, window, stored, source, exclude_source, max_rows,
           app->get_option("--server"), app->get_option("--timeout")}},
         {options->stored, "--stored", {source, exclude_source, max_rows}}});
    if (session->result.ok()) session->result = Run(*options, *session);
  });
}

}  // namespace calserve::cli
