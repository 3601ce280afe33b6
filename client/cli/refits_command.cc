#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "client/cli/commands.h"
#include "client/cli/model_choice.h"
#include "client/cli/option_rules.h"
#include "client/cli/refit_text.h"

namespace calserve::cli {
namespace {

struct Options {
  std::string model;
  int64_t model_version = 0;
};

absl::Status Run(const Options& options, Session& session) {
  const absl::StatusOr<Client> client = session.Connect();
  if (!client.ok()) return client.status();
  const absl::StatusOr<client::ModelInfo> model = FindModel(*client, options.model);
  if (!model.ok()) return model.status();
  const absl::StatusOr<client::RefitStatus> status =
      client->GetRefitStatus(model->name, options.model_version);
  if (!status.ok()) return status.status();
  if (session.json) {
    session.answer = ToJson(*status);
  } else {
    Print(RefitText(*status, session.terminal));
  }
  return absl::OkStatus();
}

}  // namespace

void AddRefits(CLI::App* app, Session* session) {
  CLI::App* const command = app->add_subcommand(
      "refits", "Show where a model's automatic refit stands, and its attempts (refit of model.yaml)");
  const auto options = std::make_shared<Options>();
  command->add_option("--model", options->model, "model; the only one if there is one")->check(Name());
  command->add_option("--model-version", options->model_version, "0: the model's default version")
      ->check(WholeNumber(0));
  command->callback([options, session] { session->result = Run(*options, *session); });
}

}  // namespace calserve::cli
