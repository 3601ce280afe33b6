// The `calserve` command. Exit codes: 0 done, 1 the server (or the data) said no, 2 wrong usage, 3
// unreachable.

#include <cstdio>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/errors.h"

namespace calserve::cli {
namespace {

void Complain(const absl::Status& status, const Session& session) {
  if (session.json) {
    PrintJson({{"error",
                {{"code", absl::StatusCodeToString(status.code())},
                 {"reason", client::ErrorReason(status)},
                 {"message", std::string(status.message())}}}});
  }
  const std::string code = ExitCodeOf(status) == kRefused
                               ? absl::StrCat(absl::StatusCodeToString(status.code()), ": ")
                               : std::string();
  std::fputs(absl::StrCat("calserve: ", code, status.message(), "\n").c_str(), stderr);
}

int Main(int argc, char** argv) {
  CLI::App app("Predictions whose probabilities can be trusted: the client of calserve-server.");
  app.set_version_flag("--version", CALSERVE_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  Session session;
  app.add_option("--server", session.server, "host:port of the server")
      ->envname("CALSERVE_SERVER")
      ->capture_default_str();
  app.add_option("--timeout", session.timeout, "for one call, retries included")->capture_default_str();
  app.add_flag("--json", session.json, "one JSON document (streams: a line each)");
  AddPredict(&app, &session);
  AddFeedback(&app, &session);
  AddEvaluate(&app, &session);
  AddWatch(&app, &session);
  AddCalibrators(&app, &session);
  AddFit(&app, &session);
  AddReport(&app, &session);
  AddModels(&app, &session);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kDone : kUsage;
  }
  if (!session.result.ok()) Complain(session.result, session);
  return ExitCodeOf(session.result);
}

}  // namespace
}  // namespace calserve::cli

int main(int argc, char** argv) { return calserve::cli::Main(argc, argv); }
