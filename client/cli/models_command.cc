#include <memory>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/commands.h"
#include "client/cli/json_output.h"
#include "client/cli/model_choice.h"
#include "client/cli/option_rules.h"
#include "client/cli/printable.h"
#include "client/cli/text_table.h"

namespace calserve::cli {
namespace {

absl::Status Models(Session& session) {
  const absl::StatusOr<Client> client = session.Connect();
  if (!client.ok()) return client.status();
  const absl::StatusOr<std::vector<client::ModelInfo>> models = client->ListModels();
  if (!models.ok()) return models.status();
  if (session.json) {
    nlohmann::ordered_json out = nlohmann::ordered_json::array();
    for (const client::ModelInfo& model : *models) out.push_back(ToJson(model));
    session.answer = {{"models", std::move(out)}};
    return absl::OkStatus();
  }
  TextTable table({{"model"},
                   {"version", TextTable::Align::kRight},
                   {"state"},
                   {"format"},
                   {"device"},
                   {"input"},
                   {"classes", TextTable::Align::kRight},
                   {"calibrator"}});
  std::string reasons;
  for (const client::ModelInfo& model : *models) {
    for (const std::string& why : WhyNotReady(model)) absl::StrAppend(&reasons, Printable(why), "\n");
    if (model.versions.empty()) table.AddRow({model.name});
    for (const client::ModelVersionInfo& version : model.versions) {
      const client::CalibratorInfo& active = version.active_calibrator;
      table.AddRow({model.name, absl::StrCat(version.version), StateName(version.state), version.format,
                    version.device,
                    absl::StrCat(model.input_kind, " ", absl::StrJoin(model.input_shape, "x")),
                    absl::StrCat(model.labels.size()),
                    active.version == 0 ? "none" : absl::StrCat(active.version, " (", active.method, ")")});
    }
  }
  Print(absl::StrCat(table.ToString(session.terminal), reasons.empty() ? "" : "\n", reasons));
  return absl::OkStatus();
}

absl::Status Health(const std::string& service, Session& session) {
  const absl::StatusOr<Client> client = session.Connect();
  if (!client.ok()) return client.status();
  const absl::StatusOr<client::Health> health = client->CheckHealth(service);
  if (absl::IsNotFound(health.status()) && !service.empty()) {
    return absl::NotFoundError(absl::StrCat("the server has no gRPC service '", service,
                                            "'; `calserve health` without one asks for the whole server"));
  }
  if (!health.ok()) return health.status();
  const char* const name = *health == client::Health::kServing      ? "SERVING"
                           : *health == client::Health::kNotServing ? "NOT_SERVING"
                                                                    : "UNKNOWN";
  if (session.json) {
    session.answer = {{"status", name}};
  } else {
    Print(absl::StrCat(name, "\n"));
  }
  if (*health == client::Health::kServing) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(session.server, " is up but ", name));
}

}  // namespace

void AddModels(CLI::App* app, Session* session) {
  CLI::App* const models =
      app->add_subcommand("models", "List models, their versions and active calibrators");
  models->callback([session] { session->result = Models(*session); });

  CLI::App* const health =
      app->add_subcommand("health", "Ask whether the server serves; exit code 0 if it does");
  const auto service = std::make_shared<std::string>();
  health->add_option("service", *service, "a gRPC service; else the whole server")->check(Utf8());
  health->callback([session, service] { session->result = Health(*service, *session); });
}

}  // namespace calserve::cli
