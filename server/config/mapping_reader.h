#ifndef CALSERVE_SERVER_CONFIG_MAPPING_READER_H_
#define CALSERVE_SERVER_CONFIG_MAPPING_READER_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/config/yaml_file.h"

namespace calserve {

// A value as messages quote it: "x", a list, a section, nothing.
std::string Quoted(const YamlValue& value);

// Reads a YAML mapping key by key: each Read stores a value that is there and right, and leaves `out` alone
// where the key is not there. What is wrong is kept until Finish, so that reading is a list of sentences:
//
//   MappingReader reader(path, "input", value);
//   reader.Integer("height", 1, 4096, &height);
//   reader.Choice("color", {{"grey", Color::kGrey}, {"rgb", Color::kRgb}}, &color);
//   RETURN_IF_ERROR(reader.Finish());
class MappingReader {
 public:
  // `name` comes before each key in messages: "" or "input". `value` outlives the reader.
  MappingReader(std::string path, std::string name, const YamlValue& value);

  // The value of a key, which then counts as known; null if it is not there.
  const YamlValue* Find(absl::string_view key);

  void Text(absl::string_view key, std::string* out);
  void Boolean(absl::string_view key, bool* out);  // true | false
  void Integer(absl::string_view key, int least, int largest, int* out);
  void Number(absl::string_view key, double least, double largest, double* out);
  void Integers(absl::string_view key, int least, int largest, std::vector<int64_t>* out);
  void Numbers(absl::string_view key, std::vector<float>* out);
  void Bytes(absl::string_view key, int64_t least, int64_t largest, int64_t* out);  // 64MiB
  void Duration(absl::string_view key, absl::Duration largest, absl::Duration* out);

  template <typename T>
  void Choice(absl::string_view key, const std::vector<std::pair<absl::string_view, T>>& choices, T* out) {
    std::vector<absl::string_view> names;
    for (const auto& [name, value] : choices) names.push_back(name);
    const int chosen = IndexOfChoice(key, names);
    if (chosen >= 0) *out = choices[static_cast<size_t>(chosen)].second;
  }

  // Whether nothing was found wrong with the value of a key so far, nor that it lacks: a rule between two
  // values is for values that are right.
  bool IsRight(absl::string_view key) const;

  // The key must be there.
  void Require(absl::string_view key);
  // What is wrong with the value of a key, or with the mapping where `key` is empty: "must be ...; was ...".
  // A value may have many faults, as a list of many items has; the first are kept, and the number of others.
  void Fail(absl::string_view key, absl::string_view message);

  // INVALID_ARGUMENT with FILE:LINE for a key that was never asked for, naming the nearest one, or for the
  // first value that was wrong.
  absl::Status Finish() const;
  // All that is wrong: every unknown key, then every fault of every value.
  std::vector<absl::Status> Problems() const;

 private:
  int IndexOfChoice(absl::string_view key, absl::Span<const absl::string_view> names);
  absl::Status ErrorAt(int line, absl::string_view key, absl::string_view message) const;

  const std::string path_;
  const std::string name_;
  const YamlValue& value_;
  std::vector<std::string> known_;
  std::map<std::string, int> faults_;  // by key: how many
  std::vector<absl::Status> errors_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_MAPPING_READER_H_
