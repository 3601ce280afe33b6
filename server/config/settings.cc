#include "server/config/settings.h"

#include <utility>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/status_macros.h"
#include "server/config/nearest_name.h"
#include "server/config/yaml_file.h"

namespace calserve {
namespace {

constexpr absl::string_view kPrefix = "CALSERVE_";

absl::Status UnknownKey(const std::string& origin, const std::string& name, bool is_section) {
  std::vector<std::string> known;
  for (const Option& option : OptionTable()) {
    known.push_back(option.name);
    if (is_section && !option.section().empty()) known.push_back(option.section());
  }
  return absl::InvalidArgumentError(absl::StrCat(origin, ": unknown key ", name, DidYouMean(name, known)));
}

bool IsSection(const std::string& name) {
  return absl::c_any_of(OptionTable(), [&](const Option& option) { return option.section() == name; });
}

// The text of a value as the environment would have it: scalars as they are, a list with commas.
absl::StatusOr<std::string> TextOf(const Option& option, const YamlValue& value, const std::string& origin) {
  const auto error = [&](absl::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat(origin, ": ", option.name, " must be ", option.Rule(), "; was ", what));
  };
  if (const std::string* const scalar = value.scalar()) return *scalar;
  const YamlValue::List* const list = value.list();
  if (list == nullptr) return error(value.mapping() != nullptr ? "a section" : "nothing");
  if (option.kind != OptionKind::kList) return error("a list");
  std::vector<std::string> items;
  for (const YamlValue& item : *list) {
    if (item.scalar() == nullptr) return error("a list of something else");
    items.push_back(*item.scalar());
  }
  return absl::StrJoin(items, ",");
}

absl::Status AddSetting(const std::string& name, const YamlEntry& entry, const std::string& origin,
                        std::vector<Setting>* settings) {
  const Option* const option = FindOption(name);
  if (option == nullptr) return UnknownKey(origin, name, /*is_section=*/name == entry.key);
  ASSIGN_OR_RETURN(std::string text, TextOf(*option, entry.value, origin));
  settings->push_back({option, std::move(text), origin});
  return absl::OkStatus();
}

// Kubernetes' service links, for a service named calserve or calserve-something.
bool IsServiceLink(absl::string_view name) {
  return absl::EndsWith(name, "_SERVICE_HOST") || absl::StrContains(name, "_SERVICE_PORT") ||
         absl::EndsWith(name, "_PORT") || absl::StrContains(name, "_PORT_");
}

bool IsOfTheClient(absl::string_view name) {
  constexpr absl::string_view kNames[] = {
      "CALSERVE_SERVER",   "CALSERVE_TLS",        "CALSERVE_CA_FILE", "CALSERVE_CERTIFICATE_FILE",
      "CALSERVE_KEY_FILE", "CALSERVE_TOKEN_FILE", "CALSERVE_TOKEN"};
  return absl::c_linear_search(kNames, name);
}

bool IsNotAnOption(absl::string_view name) {
  return name == "CALSERVE_CONFIG" || IsOfTheClient(name) || name == "CALSERVE_KILLS" ||
         absl::StartsWith(name, "CALSERVE_TEST_") || IsServiceLink(name);
}

}  // namespace

absl::StatusOr<std::vector<Setting>> SettingsOfFile(const std::string& path) {
  ASSIGN_OR_RETURN(const YamlValue root, ReadYamlFile(path));
  std::vector<Setting> settings;
  for (const YamlEntry& entry : *root.mapping()) {
    const auto origin_of = [&](const YamlEntry& at) { return absl::StrCat(path, ":", at.line); };
    if (!IsSection(entry.key)) {
      RETURN_IF_ERROR(AddSetting(entry.key, entry, origin_of(entry), &settings));
      continue;
    }
    if (entry.value.scalar() != nullptr || entry.value.list() != nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(origin_of(entry), ": ", entry.key, " is a section: it takes lines \"key: value\""));
    }
    if (entry.value.mapping() == nullptr) continue;  // "batching:" with nothing in it
    for (const YamlEntry& inner : *entry.value.mapping()) {
      RETURN_IF_ERROR(
          AddSetting(absl::StrCat(entry.key, ".", inner.key), inner, origin_of(inner), &settings));
    }
  }
  return settings;
}

absl::StatusOr<std::vector<Setting>> SettingsOfEnvironment(
    const std::map<std::string, std::string>& environment) {
  std::vector<Setting> settings;
  std::vector<std::string> known;
  for (const Option& option : OptionTable()) {
    known.push_back(option.variable());
    const auto found = environment.find(known.back());
    if (found != environment.end()) settings.push_back({&option, found->second, found->first});
  }
  for (const auto& [name, value] : environment) {
    if (!absl::StartsWith(name, kPrefix) || IsNotAnOption(name) || absl::c_linear_search(known, name))
      continue;
    return absl::InvalidArgumentError(absl::StrCat("unknown variable ", name, DidYouMean(name, known)));
  }
  return settings;
}

std::vector<Setting> SettingsOfCommandLine(const CommandLine& line) {
  std::vector<Setting> settings;
  for (const auto& [name, text] : line.values) {
    const Option* const option = FindOption(name);
    settings.push_back({option, text, option->flag()});
  }
  return settings;
}

}  // namespace calserve
