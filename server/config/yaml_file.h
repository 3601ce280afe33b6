#ifndef CALSERVE_SERVER_CONFIG_YAML_FILE_H_
#define CALSERVE_SERVER_CONFIG_YAML_FILE_H_

#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace calserve {

struct YamlEntry;

// A value of a YAML file and the line on which it starts, from 1.
struct YamlValue {
  using List = std::vector<YamlValue>;
  using Mapping = std::vector<YamlEntry>;  // in the order of the file; keys are unique

  int line = 0;
  std::variant<std::monostate, std::string, List, Mapping>
      value;  // monostate: null, "key:" with nothing after it

  const std::string* scalar() const { return std::get_if<std::string>(&value); }
  const List* list() const { return std::get_if<List>(&value); }
  const Mapping* mapping() const { return std::get_if<Mapping>(&value); }
};

struct YamlEntry {
  std::string key;
  int line = 0;
  YamlValue value;
};

// What is in the file: one document, a mapping (an empty file is an empty one). NOT_FOUND or INVALID_ARGUMENT
// with FILE:LINE and what is wrong: no YAML, a key that is given twice or is no plain text, a second
// document.
absl::StatusOr<YamlValue> ReadYamlFile(const std::string& path);
// The same for one who says all that is wrong: bad keys go to `problems`, and are left out of what is read.
absl::StatusOr<YamlValue> ReadYamlFile(const std::string& path, std::vector<absl::Status>* problems);
// The same of a file that should be JSON. Other YAML is taken, too; of what is no YAML either it is said why
// it is no JSON: "FILE: is not valid JSON at line L, column C: ...".
absl::StatusOr<YamlValue> ReadJsonFile(const std::string& path, std::vector<absl::Status>* problems);

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_YAML_FILE_H_
