#ifndef CALSERVE_CLIENT_CLI_SESSION_H_
#define CALSERVE_CLIENT_CLI_SESSION_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/terminal.h"
#include "client/client.h"
#include "nlohmann/json.hpp"

namespace calserve::cli {

// What every command shares: the options before the verb, and where its output goes.
struct Session {
  std::string server = "127.0.0.1:8500";
  std::string timeout = "30s";     // as absl::ParseDuration has it
  client::ClientOptions security;  // of which only what is about TLS and tokens counts
  bool json = false;
  Terminal terminal = Terminal::Detect(stdout);
  absl::Status result;  // of the command that ran
  // What --json prints at the end, with the key "error" added where the command failed. Empty for a command
  // that prints lines of its own.
  nlohmann::ordered_json answer;

  absl::StatusOr<Client> Connect() const;
};

// How the program ends.
enum ExitCode { kDone = 0, kRefused = 1, kUsage = 2, kUnreachable = 3 };
ExitCode ExitCodeOf(const absl::Status& status);

// An error in how the command was called.
absl::Status UsageError(absl::string_view message);

// Prints text, of which what came from outside is Printable, or, as one document a line, JSON to standard
// output.
void Print(absl::string_view text);
// OK, or why standard output did not take all that was printed (a full disk).
absl::Status OutputStatus();
void PrintJson(const nlohmann::ordered_json& document);

// Index of the class named so, or of the index given as a number; INVALID_ARGUMENT names the classes there
// are.
absl::StatusOr<int32_t> ClassIndex(const client::ModelInfo& model, const std::string& label);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_SESSION_H_
