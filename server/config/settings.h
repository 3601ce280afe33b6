#ifndef CALSERVE_SERVER_CONFIG_SETTINGS_H_
#define CALSERVE_SERVER_CONFIG_SETTINGS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/config/command_line.h"
#include "server/config/option_table.h"

namespace calserve {

// An option's value as it was written somewhere.
struct Setting {
  const Option* option = nullptr;
  std::string text;
  std::string origin;  // "calserve.yaml:12", "CALSERVE_LISTEN", "--listen"
};

// Those of a YAML file. INVALID_ARGUMENT with FILE:LINE for an unknown key or a value of the wrong shape.
absl::StatusOr<std::vector<Setting>> SettingsOfFile(const std::string& path);

// Those of the variables CALSERVE_*. INVALID_ARGUMENT for a variable that is no option's. Not looked at:
// CALSERVE_CONFIG, which names the file; the client's; what Kubernetes sets in every pod beside a service
// called calserve (CALSERVE_PORT, CALSERVE_SERVICE_HOST and their like); CALSERVE_TEST_* and CALSERVE_KILLS,
// of our tests.
absl::StatusOr<std::vector<Setting>> SettingsOfEnvironment(
    const std::map<std::string, std::string>& environment);

std::vector<Setting> SettingsOfCommandLine(const CommandLine& line);

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_SETTINGS_H_
