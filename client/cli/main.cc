// The `calserve` command. kFooter says what its output and its exit codes mean.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <sstream>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/commands.h"
#include "client/cli/json_output.h"
#include "client/cli/printable.h"
#include "client/cli/security_options.h"
#include "text/standard_streams.h"

namespace calserve::cli {
namespace {

constexpr char kFooter[] =
    "With --json a command prints one JSON document, on one line. Where it fails, the document has the key\n"
    "\"error\": {code, reason, message}, beside what was done, if anything. feedback of a file and watch "
    "print\n"
    "a document a line; where they fail, the last line is {\"error\": ...}.\n"
    "Exit codes: 0 done; 1 the server, the data or a file said no; 2 wrong usage; 3 no server answers.";

void Complain(const absl::Status& status) {
  const std::string code = ExitCodeOf(status) == kRefused
                               ? absl::StrCat(absl::StatusCodeToString(status.code()), ": ")
                               : std::string();
  std::fputs(absl::StrCat("calserve: ", code, Printable(status.message()), "\n").c_str(), stderr);
}

void PrintAnswer(nlohmann::ordered_json answer, const absl::Status& result) {
  if (!result.ok()) answer["error"] = ToJson(result);
  if (!answer.is_null()) PrintJson(answer);
}

// The commands of the last command that the arguments name.
std::vector<std::string> CommandsOf(const CLI::App& app) {
  const CLI::App* last = &app;
  while (!last->get_subcommands().empty()) last = last->get_subcommands().front();
  std::vector<std::string> names;
  for (const CLI::App* const command : last->get_subcommands({})) names.push_back(command->get_name());
  return names;
}

// What is wrong with the arguments. Of an unknown command, too, CLI11 says only that a command is required.
std::string FaultOf(const CLI::App& app, const CLI::ParseError& e) {
  const std::vector<std::string> commands = CommandsOf(app);
  if (e.get_name() != "RequiredError" || commands.empty()) return e.what();
  const std::vector<std::string> unknown = app.remaining(/*recurse=*/true);
  return absl::StrCat(
      unknown.empty() ? "a command is needed" : absl::StrCat("there is no command or option ", unknown[0]),
      "; there are ", absl::StrJoin(commands, ", "));
}

// What is printed after a parse error or a request for help.
absl::Status ExplainUsage(const CLI::App& app, const CLI::ParseError& e, bool json) {
  if (e.get_exit_code() == 0) {
    std::ostringstream out;
    app.exit(e, out, out);
    Print(out.str());
    return absl::OkStatus();
  }
  const std::string fault = FaultOf(app, e);
  std::fputs(absl::StrCat(Printable(fault), "\nRun with --help for more information.\n").c_str(), stderr);
  if (json) PrintAnswer({}, UsageError(fault));
  return UsageError(fault);
}

// Runs the command that the arguments name. Throws CLI::ParseError.
absl::Status RunCommand(CLI::App& app, int argc, char** argv, const Session& session) {
  try {
    app.parse(argc, argv);
    return session.result;
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("there is not enough memory for what was given");
  }
}

// CLI11 takes the last of a flag that is given twice, and says nothing.
void TakeEachFlagOnce(CLI::App* app) {
  for (CLI::Option* const option : app->get_options()) {
    if (option->get_items_expected_max() == 0) option->multi_option_policy(CLI::MultiOptionPolicy::Throw);
  }
  for (CLI::App* const command : app->get_subcommands({})) TakeEachFlagOnce(command);
}

ExitCode Main(int argc, char** argv) {
  CLI::App app("Predictions whose probabilities can be trusted: the client of calserve-server.");
  app.set_version_flag("--version", CALSERVE_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(kFooter);
  Session session;
  // Not CLI11's way: an option from the environment would count as given, and offline commands refuse it.
  if (const char* const server = std::getenv("CALSERVE_SERVER"); server != nullptr && *server != '\0') {
    session.server = server;
  }
  app.add_option("--server", session.server, "host:port of the server; else the variable CALSERVE_SERVER")
      ->capture_default_str();
  app.add_option("--timeout", session.timeout, "for one call, retries included")->capture_default_str();
  app.add_flag("--json", session.json, "one JSON document, also for an error (streams: a line each)");
  AddSecurityOptions(&app, &session.security);
  AddPredict(&app, &session);
  AddFeedback(&app, &session);
  AddEvaluate(&app, &session);
  AddWatch(&app, &session);
  AddCalibrators(&app, &session);
  AddAlarms(&app, &session);
  AddFit(&app, &session);
  AddReport(&app, &session);
  AddSlices(&app, &session);
  AddRefits(&app, &session);
  AddModels(&app, &session);
  AddLogLevel(&app, &session);
  TakeEachFlagOnce(&app);
  absl::Status result;
  try {
    result = RunCommand(app, argc, argv, session);
    if (session.json) PrintAnswer(std::move(session.answer), result);
    if (!result.ok()) Complain(result);
  } catch (const CLI::ParseError& e) {
    // An error may stand before --json and keep it from being parsed.
    const bool json = std::find(argv + 1, argv + argc, absl::string_view("--json")) != argv + argc;
    result = ExplainUsage(app, e, json);
  }
  const absl::Status output = OutputStatus();
  if (!output.ok()) Complain(output);
  return ExitCodeOf(result.ok() ? output : result);
}

}  // namespace
}  // namespace calserve::cli

int main(int argc, char** argv) {
  calserve::KeepStandardStreams();
  const int status = calserve::cli::Main(argc, argv);
  // Everything is written and checked. gRPC 1.51's poller may still run while static objects are destroyed,
  // and now and then aborts the process for it ("epoll_wait error: Bad file descriptor").
  std::fflush(nullptr);
  std::_Exit(status);
}
