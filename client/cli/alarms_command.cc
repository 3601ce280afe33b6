#include <memory>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "client/cli/alarm_text.h"
#include "client/cli/attribute_option.h"
#include "client/cli/commands.h"
#include "client/cli/json_output.h"
#include "client/cli/model_choice.h"
#include "client/cli/option_rules.h"
#include "client/cli/printable.h"
#include "client/cli/text_table.h"

namespace calserve::cli {
namespace {

struct Options {
  std::string model;
  int64_t model_version = 0;
  int64_t calibrator_version = -1;
  std::string slice;
};

absl::Status List(const Options& options, Session& session) {
  const absl::StatusOr<Client> client = session.Connect();
  if (!client.ok()) return client.status();
  const absl::StatusOr<std::vector<client::ModelAlarm>> alarms = client->ListAlarms(options.model);
  if (!alarms.ok()) return alarms.status();
  if (session.json) {
    nlohmann::ordered_json out = nlohmann::ordered_json::array();
    for (const client::ModelAlarm& alarm : *alarms) out.push_back(ToJson(alarm));
    session.answer = {{"alarms", std::move(out)}};
    return absl::OkStatus();
  }
  TextTable table({{"model"},
                   {"version", TextTable::Align::kRight},
                   {"calibrator", TextTable::Align::kRight},
                   {"slice"},
                   {"tolerance", TextTable::Align::kRight},
                   {"e exact", TextTable::Align::kRight},
                   {"alarm"}});
  for (const client::ModelAlarm& alarm : *alarms) {
    table.AddRow({alarm.model, absl::StrCat(alarm.model_version), absl::StrCat(alarm.calibrator_version),
                  SliceText(alarm.slice), absl::StrCat(alarm.alarm.status.options.tolerance),
                  EValueText(alarm.alarm.status.e_exact), AlarmLine(alarm.alarm)});
  }
  Print(table.ToString(session.terminal));
  return absl::OkStatus();
}

// What is acknowledged is the alarm of the calibrator that the caller saw, or of what is active a moment
// before.
absl::StatusOr<client::ModelAlarm> Find(const Client& client, const Options& options) {
  const absl::StatusOr<client::ModelInfo> model = FindModel(client, options.model);
  if (!model.ok()) return model.status();
  const absl::StatusOr<std::vector<client::ModelAlarm>> alarms = client.ListAlarms(model->name);
  if (!alarms.ok()) return alarms.status();
  const int64_t wanted = options.model_version == 0 ? model->default_version : options.model_version;
  for (client::ModelAlarm alarm : *alarms) {
    if (alarm.model_version != wanted) continue;
    alarm.slice = ParseSlice(options.slice);
    if (options.calibrator_version >= 0) alarm.calibrator_version = options.calibrator_version;
    return alarm;
  }
  return absl::NotFoundError(absl::StrCat(model->name, " has no version ", wanted,
                                          " that is ready; `calserve models` shows what there is"));
}

absl::Status Acknowledge(const Options& options, Session& session) {
  const absl::StatusOr<Client> client = session.Connect();
  if (!client.ok()) return client.status();
  const absl::StatusOr<client::ModelAlarm> seen = Find(*client, options);
  if (!seen.ok()) return seen.status();
  const absl::StatusOr<client::ModelAlarm> alarm =
      client->AcknowledgeAlarm(seen->model, seen->model_version, seen->calibrator_version, seen->slice);
  if (!alarm.ok()) return alarm.status();
  if (session.json) {
    session.answer = ToJson(*alarm);
  } else {
    Print(absl::StrCat(Printable(alarm->model), "/", alarm->model_version, " calibrator ",
                       alarm->calibrator_version, alarm->slice.has_value() ? " " : "",
                       SliceText(alarm->slice), ": acknowledged, ", AlarmLine(alarm->alarm), "\n"));
  }
  return absl::OkStatus();
}

}  // namespace

void AddAlarms(CLI::App* app, Session* session) {
  const auto options = std::make_shared<Options>();
  CLI::App* const alarms = app->add_subcommand("alarms", "List the alarms of the active calibrators");
  alarms->add_option("--model", options->model, "else of every model")->check(Name());
  alarms->callback([=] { session->result = List(*options, *session); });

  CLI::App* const acknowledge =
      app->add_subcommand("acknowledge", "Take the alarm of the active calibrator back");
  acknowledge->add_option("--model", options->model, "model; the only one if there is one")->check(Name());
  acknowledge->add_option("--model-version", options->model_version, "0: the model's default version")
      ->check(WholeNumber(0));
  acknowledge
      ->add_option("--calibrator", options->calibrator_version,
                   "whose alarm was seen; else what is active, a moment before")
      ->check(WholeNumber(0));
  acknowledge->add_option("--slice", options->slice, "of the labels with this attribute; else of all labels")
      ->check(KeyValue());
  acknowledge->callback([=] { session->result = Acknowledge(*options, *session); });
}

}  // namespace calserve::cli
