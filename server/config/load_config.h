#ifndef CALSERVE_SERVER_CONFIG_LOAD_CONFIG_H_
#define CALSERVE_SERVER_CONFIG_LOAD_CONFIG_H_

#include <map>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "server/config/server_config.h"

namespace calserve {

// What was asked for was only to print something (--help, --version, --print-config, --validate-only).
struct EarlyExit {
  int code = 0;      // one of exit_codes.h
  std::string text;  // for stdout; for stderr where code is not 0
};

using Environment = std::map<std::string, std::string>;

// The environment of this process.
Environment ProcessEnvironment();

// Puts the configuration together: a flag beats the environment, which beats the file of --config, which
// beats the default. INVALID_ARGUMENT for what is unknown, given twice, malformed or out of range, in
// whichever of them it stands, even where another one beats it: the message says where (FILE:LINE, variable
// or flag), the value, what is allowed, and the nearest known name.
//
// --validate-only also reads every model.yaml and labels.txt of the repository; it loads no model.
absl::StatusOr<std::variant<ServerConfig, EarlyExit>> LoadConfig(int argc, const char* const* argv,
                                                                 const Environment& environment);

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_LOAD_CONFIG_H_
