#include <memory>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "client/cli/alarm_text.h"
#include "client/cli/attribute_option.h"
#include "client/cli/commands.h"
#include "client/cli/json_output.h"
#include "client/cli/metrics_table.h"
#include "client/cli/model_choice.h"
#include "client/cli/option_rules.h"
#include "client/cli/text_table.h"

namespace calserve::cli {
namespace {

struct Options {
  std::string model;
  int64_t model_version = 0;
  int64_t calibrator_version = -1;
  std::string window = "last_1000";
};

nlohmann::ordered_json SlicesJson(const client::ModelSlices& slices) {
  nlohmann::ordered_json keys = nlohmann::ordered_json::array(), reports = keys;
  for (const client::SliceKey& key : slices.keys) keys.push_back({{"key", key.key}, {"values", key.values}});
  for (const client::WindowReport& report : slices.reports) reports.push_back(ToJson(report));
  return {{"keys", std::move(keys)}, {"reports", std::move(reports)}};
}

std::string SlicesTable(const client::ModelSlices& slices, const Terminal& terminal) {
  if (slices.keys.empty()) return "labels are not sliced: attributes of model.yaml lists no key\n";
  TextTable table({{"slice"},
                   {"n", TextTable::Align::kRight},
                   {"accuracy", TextTable::Align::kRight},
                   {"confidence", TextTable::Align::kRight},
                   {"ECE", TextTable::Align::kRight},
                   {"floor", TextTable::Align::kRight},
                   {"alarm"}});
  for (const client::WindowReport& report : slices.reports) {
    const CalibrationMetrics& served = report.served;
    table.AddRow({SliceText(report.slice), absl::StrCat(served.n), FormatMetric(served, served.accuracy),
                  FormatMetric(served, served.mean_confidence), FormatMetric(served, served.ece),
                  FormatMetric(served, served.noise_floor),
                  report.alarm.has_value() ? AlarmLine(*report.alarm) : ""});
  }
  return table.ToString(terminal);
}

absl::Status Run(const Options& options, Session& session) {
  const absl::StatusOr<Client> client = session.Connect();
  if (!client.ok()) return client.status();
  const absl::StatusOr<client::ModelInfo> model = FindModel(*client, options.model);
  if (!model.ok()) return model.status();
  client::ReportRequest request;
  request.model = model->name;
  request.model_version = options.model_version;
  if (options.calibrator_version >= 0) request.calibrator_version = options.calibrator_version;
  request.data = options.window;
  const absl::StatusOr<client::ModelSlices> slices = client->ListSlices(request);
  if (!slices.ok()) return slices.status();
  if (session.json) {
    session.answer = SlicesJson(*slices);
  } else {
    Print(SlicesTable(*slices, session.terminal));
  }
  return absl::OkStatus();
}

}  // namespace

void AddSlices(CLI::App* app, Session* session) {
  CLI::App* const command =
      app->add_subcommand("slices", "List the slices of a model's labels, by the attributes of predictions");
  const auto options = std::make_shared<Options>();
  command->add_option("--model", options->model, "model; the only one if there is one")->check(Name());
  command->add_option("--model-version", options->model_version, "0: the model's default version")
      ->check(WholeNumber(0));
  command->add_option("--calibrator-version", options->calibrator_version, "else the active one")
      ->check(WholeNumber(0));
  command->add_option("--window", options->window, "a live window")->check(Name())->capture_default_str();
  command->callback([options, session] { session->result = Run(*options, *session); });
}

}  // namespace calserve::cli
