#ifndef CALSERVE_SERVER_CONFIG_COMMAND_LINE_H_
#define CALSERVE_SERVER_CONFIG_COMMAND_LINE_H_

#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace calserve {

// The command line as it was written: flags are known and given once, values are not looked at.
struct CommandLine {
  std::map<std::string, std::string> values;  // by Option::name
  std::optional<std::string> config_file;     // --config
  std::optional<std::string> check;           // --check
  int trial = 0;                              // --trial
  std::optional<std::string> new_token;       // --new-token
  bool validate_only = false;
  bool print_config = false;
  std::optional<std::string> text;  // --help, --version: only print this
};

// INVALID_ARGUMENT for a flag that is unknown, given twice or lacks its value, and for any other argument.
absl::StatusOr<CommandLine> ParseCommandLine(int argc, const char* const* argv);

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_COMMAND_LINE_H_
