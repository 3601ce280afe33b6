#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "calibration/method.h"
#include "client/cli/alarm_text.h"
#include "client/cli/attribute_option.h"
#include "client/cli/commands.h"
#include "client/cli/json_output.h"
#include "client/cli/model_choice.h"
#include "client/cli/offline_report.h"
#include "client/cli/option_rules.h"
#include "client/cli/printable.h"
#include "client/cli/report_options.h"
#include "client/cli/report_output.h"
#include "client/cli/requirements.h"
#include "client/cli/selection_text.h"
#include "client/cli/window_extras_text.h"

namespace calserve::cli {
namespace {

std::vector<std::string> MethodsToCompare() {
  std::vector<std::string> names;
  for (const Method& method : AllMethods()) names.emplace_back(method.name);
  names.emplace_back("all");
  return names;
}

client::ReportRequest MakeRequest(const ReportOptions& options, const std::string& model,
                                  std::optional<int64_t> calibrator_version) {
  client::ReportRequest request;
  request.model = model;
  request.model_version = options.model_version;
  request.calibrator_version = calibrator_version;
  request.data = options.window;
  if (options.stored) {
    client::StoredSelection stored;
    stored.sources = options.sources;
    stored.excluded_sources = options.excluded_sources;
    stored.max_rows = options.max_rows;
    stored.attributes = ParseAttributes(options.attributes);
    request.data = stored;
  }
  request.detailed = options.details;
  request.slice = ParseSlice(options.slice);
  return request;
}

std::string TitleOf(const client::WindowReport& report) {
  return absl::StrCat(report.model, "/", report.model_version, " calibrator ", report.calibrator_version,
                      report.slice.has_value() ? ", " : "", SliceText(report.slice), ", ",
                      report.window.empty() ? "stored labels" : report.window);
}

void PrintReport(const client::WindowReport& report, const std::vector<NamedMetrics>& columns,
                 const Terminal& terminal) {
  Print(absl::StrCat(terminal.Bold(Printable(TitleOf(report))), ", as of label ", report.position, " (",
                     TimeText(report.time), ")\n\n", ReportText(columns, terminal)));
  if (report.shadow_after.has_value()) {
    Print(absl::StrCat("\na shadow: it never served; labels after position ", *report.shadow_after, "\n"));
  }
  if (report.alarm.has_value()) Print(absl::StrCat("\n", AlarmLine(*report.alarm), "\n"));
  if (report.selection.has_value()) Print(absl::StrCat(SelectionLine(*report.selection), "\n"));
  Print(WindowExtrasLines(report));
  if (report.catching_up) Print("the server is still reading its log: this is not yet all of it\n");
}

// Several versions side by side, each on the labels of what it served.
absl::Status ShowVersions(const ReportOptions& options, const std::vector<client::WindowReport>& reports,
                          Session& session) {
  std::vector<NamedMetrics> columns;
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const client::WindowReport& report : reports) {
    columns.push_back(
        {absl::StrCat("calibrator ", report.calibrator_version), report.served, report.served_details, {}});
    all.push_back(ToJson(report));
  }
  const client::WindowReport& first = reports.front();
  const std::string title = absl::StrCat(first.model, "/", first.model_version, ", ",
                                         first.window.empty() ? "stored labels" : first.window);
  const std::vector<std::string> measured = {
      "Each calibrator is measured on the labels of what it served itself: the rows are not the same. "
      "With --logits and --labels they are compared on one data set."};
  if (session.json) {
    session.answer = {{"reports", std::move(all)}};
  } else {
    Print(absl::StrCat(session.terminal.Bold(Printable(title)), "\n\n", ReportText(columns, session.terminal),
                       "\n", measured[0], "\n"));
  }
  return WriteReportFiles(options.files, title, columns, measured);
}

absl::Status ReportOfServer(const ReportOptions& options, Session& session) {
  const absl::StatusOr<Client> client = session.Connect();
  if (!client.ok()) return client.status();
  const absl::StatusOr<client::ModelInfo> model = FindModel(*client, options.model);
  if (!model.ok()) return model.status();
  std::vector<std::optional<int64_t>> versions(options.calibrator_versions.begin(),
                                               options.calibrator_versions.end());
  if (versions.empty()) versions.emplace_back();  // the active one
  std::vector<client::WindowReport> reports;
  for (const std::optional<int64_t> version : versions) {
    absl::StatusOr<client::WindowReport> report =
        client->GetCalibrationReport(MakeRequest(options, model->name, version));
    if (!report.ok()) return report.status();
    reports.push_back(*std::move(report));
  }
  if (reports.size() > 1) return ShowVersions(options, reports, session);
  const client::WindowReport& report = reports.front();
  const std::vector<NamedMetrics> columns = {
      {"served", report.served, report.served_details, {}},
      {"uncalibrated", report.uncalibrated, report.uncalibrated_details, {}}};
  if (session.json) {
    session.answer = ToJson(report);
  } else {
    PrintReport(report, columns, session.terminal);
  }
  return WriteReportFiles(options.files, TitleOf(report), columns,
                          {absl::StrCat("As of label ", report.position, ", ", TimeText(report.time), ".")});
}

absl::Status Run(const ReportOptions& options, Session& session) {
  return options.logits.empty() ? ReportOfServer(options, session) : ReportOffline(options, session);
}

}  // namespace

void AddReport(CLI::App* app, Session* session) {
  CLI::App* const command = app->add_subcommand(
      "report", "Report calibration: offline from --logits and --labels, else of the server's labels");
  const auto options = std::make_shared<ReportOptions>();
  command->add_option("--svg", options->files.svg, "write the reliability diagram there")
      ->check(OutputFile());
  command->add_option("--html", options->files.html, "write the report as a page there")->check(OutputFile());

  CLI::Option* const details = command->add_flag(
      "--details", options->details, "every metric, offline or with --stored: docs/metrics.md lists them");

  const std::string offline_group = "Offline";
  CLI::Option* const logits =
      command
          ->add_option("--logits", options->logits,
                       "N x K, .npy (float32, float64) or .csv, up to 1 GiB; - is standard input, .npy")
          ->check(InputFile())
          ->group(offline_group);
  CLI::Option* const labels =
      command->add_option("--labels", options->labels, "N class indices, .npy or .csv")
          ->check(InputFile())
          ->group(offline_group);
  logits->needs(labels);
  labels->needs(logits);
  CLI::Option* const calibrator =
      command
          ->add_option("--calibrator", options->calibrators,
                       "a calibrator.json to apply, else plain softmax; several stand side by side")
          ->check(InputFile())
          ->group(offline_group);
  CLI::Option* const method =
      command
          ->add_option("--method", options->methods,
                       "a method to fit and judge on rows left out, beside the calibrators; several, or all")
          ->check(CLI::IsMember(MethodsToCompare()))
          ->group(offline_group);
  CLI::Option* const folds = command->add_option("--folds", options->folds, "that methods are judged by")
                                 ->check(WholeNumber(2, 20))
                                 ->capture_default_str()
                                 ->group(offline_group);
  CLI::Option* const class_names =
      command->add_option("--class-names", options->class_names, "labels.txt: a class a line, for --html")
          ->check(InputFile())
          ->group(offline_group);
  CLI::Option* const bins = command->add_option("--bins", options->bins, "of equal width")
                                ->check(WholeNumber(1, kMaxBins))
                                ->capture_default_str()
                                ->group(offline_group);

  const std::string server_group = "Server";
  CLI::Option* const model =
      command->add_option("--model", options->model, "model; the only one if there is one")
          ->check(Name())
          ->group(server_group);
  CLI::Option* const model_version =
      command->add_option("--model-version", options->model_version, "0: the model's default version")
          ->check(WholeNumber(0))
          ->group(server_group);
  command
      ->add_option("--calibrator-version", options->calibrator_versions,
                   "else the active one; several stand side by side; with --logits: applied to them")
      ->check(WholeNumber(0))
      ->group(server_group);
  CLI::Option* const window = command->add_option("--window", options->window, "a live window")
                                  ->check(Name())
                                  ->capture_default_str()
                                  ->group(server_group);
  CLI::Option* const stored =
      command->add_flag("--stored", options->stored, "all stored labels of the calibrator version")
          ->excludes(window)
          ->group(server_group);

  CLI::Option* const slice = command->add_option("--slice", options->slice, "only labels with this attribute")
                                 ->check(KeyValue())
                                 ->group(server_group);

  const std::string stored_group = "Server, with --stored";
  CLI::Option* const attribute =
      command
          ->add_option("--attribute", options->attributes,
                       "only predictions with this attribute: any of the values of a key, all keys")
          ->allow_extra_args(false)
          ->check(KeyValue())
          ->group(stored_group);
  CLI::Option* const source =
      command->add_option("--source", options->sources, "only labels of these sources")
          ->check(Name())
          ->group(stored_group);
  CLI::Option* const exclude_source =
      command->add_option("--exclude-source", options->excluded_sources, "no labels of these sources")
          ->check(Name())
          ->group(stored_group);
  CLI::Option* const max_rows = command->add_option("--max-rows", options->max_rows, "only the newest labels")
                                    ->check(WholeNumber(0))
                                    ->group(stored_group);
  command->callback([=] {
    const bool offline = !options->logits.empty();
    const bool asks_server = !offline || !options->calibrator_versions.empty();
    session->result = CheckRequirements(
        {{offline,
          "an offline report: give --logits and --labels",
          {calibrator, method, folds, bins, class_names}},
         {!options->methods.empty(), "--method", {folds}},
         {offline || options->stored, "the rows: give --logits and --labels, or --stored", {details}},
         {!offline,
          "a report of the server: leave out --logits and --labels",
          {model_version, window, stored, slice, attribute, source, exclude_source, max_rows}},
         {asks_server,
          "a report of the server: leave out --logits and --labels, or give --calibrator-version",
          {model, app->get_option("--server"), app->get_option("--timeout")}},
         {options->stored, "--stored", {attribute, source, exclude_source, max_rows}}});
    if (session->result.ok()) session->result = Run(*options, *session);
  });
}

}  // namespace calserve::cli
