#include "server/config/attribute_keys.h"

#include <set>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/config/mapping_reader.h"
#include "server/feedback/scored_label.h"
#include "text/characters.h"

namespace calserve {
namespace {

bool IsKey(absl::string_view key) {
  return !key.empty() && key.size() <= kMaxAttributeKey &&
         absl::c_all_of(key, [](char c) { return absl::ascii_isalnum(c) || absl::StrContains("_-.", c); });
}

// Why the item cannot be one of the values; empty where it can.
std::string Problem(const YamlValue& item, const std::set<std::string>& before) {
  if (item.scalar() == nullptr) {
    return absl::StrCat("must list texts; has ", item.list() != nullptr ? "a list" : "a section or nothing");
  }
  const std::string& value = *item.scalar();
  if (value.size() > kMaxAttributeValue) {
    return absl::StrCat("must list values of at most ", kMaxAttributeValue, " bytes; \"",
                        absl::CHexEscape(value), "\" has ", value.size());
  }
  if (HasControlCharacter(value)) {
    return absl::StrCat("must list values without control characters; has \"", absl::CHexEscape(value), "\"");
  }
  if (value == kOtherSlice) {
    return absl::StrCat("must not list \"", kOtherSlice, "\", which counts the values that are not listed");
  }
  if (before.count(value) > 0)
    return absl::StrCat("must list each value once; \"", value, "\" is there twice");
  return "";
}

void ReadKey(const YamlEntry& entry, MappingReader* reader, SliceKeys* keys) {
  const std::string& key = entry.key;
  if (!IsKey(key)) {
    return reader->Fail(key, absl::StrCat("must have a key of 1 to ", kMaxAttributeKey,
                                          " letters, digits, '_', '-' and '.'"));
  }
  SliceKey read{key, {}};
  if (entry.value.scalar() == nullptr || *entry.value.scalar() != "any") {
    if (entry.value.list() == nullptr || entry.value.list()->empty()) {
      return reader->Fail(
          key,
          absl::StrCat("must be a list of values, or any (the first ", kMaxSliceValues, " that come); was ",
                       entry.value.scalar() != nullptr
                           ? absl::StrCat("\"", absl::CHexEscape(*entry.value.scalar()), "\"")
                           : std::string("empty, or a section")));
    }
    if (entry.value.list()->size() > kMaxSliceValues) {
      return reader->Fail(key, absl::StrCat("must list at most ", kMaxSliceValues, " values; lists ",
                                            entry.value.list()->size()));
    }
    std::set<std::string> values;
    for (const YamlValue& item : *entry.value.list()) {
      if (const std::string problem = Problem(item, values); !problem.empty()) {
        reader->Fail(key, problem);
        continue;
      }
      values.insert(*item.scalar());
      read.values.push_back(*item.scalar());
    }
  }
  keys->push_back(std::move(read));
}

}  // namespace

void ReadAttributeKeys(const std::string& path, const YamlValue& value, SliceKeys* keys,
                       std::vector<absl::Status>* problems) {
  MappingReader reader(path, "attributes", value);
  if (value.mapping() != nullptr) {
    if (value.mapping()->size() > kMaxSliceKeys) {
      reader.Fail("",
                  absl::StrCat("must have at most ", kMaxSliceKeys, " keys; has ", value.mapping()->size()));
    }
    for (const YamlEntry& entry : *value.mapping()) {
      reader.Find(entry.key);
      ReadKey(entry, &reader, keys);
    }
  }
  const std::vector<absl::Status> found = reader.Problems();
  problems->insert(problems->end(), found.begin(), found.end());
}

}  // namespace calserve
