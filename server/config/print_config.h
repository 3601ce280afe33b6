#ifndef CALSERVE_SERVER_CONFIG_PRINT_CONFIG_H_
#define CALSERVE_SERVER_CONFIG_PRINT_CONFIG_H_

#include <map>
#include <string>

#include "server/config/server_config.h"

namespace calserve {

using Origins = std::map<std::string, std::string>;  // by Option::name; what is not in it has its default

// The options in effect as a YAML file that --config takes, each with where it was set as a comment.
std::string ConfigAsYaml(const ServerConfig& config, const Origins& origins);

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_PRINT_CONFIG_H_
