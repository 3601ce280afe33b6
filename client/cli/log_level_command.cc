#include <memory>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/json_output.h"
#include "client/cli/terminal.h"

namespace calserve::cli {
namespace {

absl::Status Get(Session& session) {
  const absl::StatusOr<Client> client = session.Connect();
  if (!client.ok()) return client.status();
  const absl::StatusOr<std::string> level = client->GetLogLevel();
  if (!level.ok()) return level.status();
  if (session.json) {
    session.answer = {{"level", *level}};
  } else {
    Print(absl::StrCat(*level, "\n"));
  }
  return absl::OkStatus();
}

absl::Status Set(const std::string& level, Session& session) {
  const absl::StatusOr<Client> client = session.Connect();
  if (!client.ok()) return client.status();
  const absl::StatusOr<std::string> previous = client->SetLogLevel(level);
  if (!previous.ok()) return previous.status();
  if (session.json) {
    session.answer = {{"level", level}, {"previous", *previous}};
  } else {
    Print(absl::StrCat(level, ", was ", *previous, "\n"));
  }
  return absl::OkStatus();
}

}  // namespace

void AddLogLevel(CLI::App* app, Session* session) {
  CLI::App* const command = app->add_subcommand("log-level", "Show or change how much the server logs");
  command->require_subcommand(1);
  command->add_subcommand("get", "Print the level")->callback([=] { session->result = Get(*session); });
  const auto level = std::make_shared<std::string>();
  CLI::App* const set = command->add_subcommand("set", "Change it until the server starts anew");
  set->add_option("level", *level, "debug (a line for every request), info, warn or error")
      ->required()
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
  set->callback([=] { session->result = Set(*level, *session); });
}

}  // namespace calserve::cli
