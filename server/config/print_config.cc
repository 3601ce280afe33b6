#include "server/config/print_config.h"

#include <yaml-cpp/yaml.h>

#include "server/config/option_table.h"

namespace calserve {
namespace {

// Section keys stand below their section.
std::string KeyOf(const Option& option) {
  const std::string section = option.section();
  return section.empty() ? option.name : std::string(option.name).substr(section.size() + 1);
}

}  // namespace

std::string ConfigAsYaml(const ServerConfig& config, const Origins& origins) {
  YAML::Emitter yaml;
  yaml << YAML::BeginMap;
  std::string section;
  for (const Option& option : OptionTable()) {
    if (option.section() != section) {
      if (!section.empty()) yaml << YAML::EndMap;
      section = option.section();
      yaml << YAML::Key << section << YAML::Value << YAML::BeginMap;
    }
    const auto origin = origins.find(option.name);
    yaml << YAML::Key << KeyOf(option) << YAML::Value << option.Get(config)
         << YAML::Comment(origin == origins.end() ? "default" : origin->second);
  }
  if (!section.empty()) yaml << YAML::EndMap;
  yaml << YAML::EndMap;
  return std::string(yaml.c_str()) + "\n";
}

}  // namespace calserve
