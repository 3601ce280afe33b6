#include "server/config/version_keys.h"

#include <limits>
#include <optional>
#include <set>
#include <string>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/config/values.h"

namespace calserve {
namespace {

constexpr int kMaxLatest = 1000;
constexpr int kMaxWeight = 1'000'000;
constexpr size_t kMaxLabels = 32;
constexpr size_t kMaxLabelSize = 64;
constexpr int64_t kLargestVersion = std::numeric_limits<int64_t>::max();
constexpr char kVersionsRule[] = "must be latest, {latest: N}, all, or a list of versions as [1, 3]";

std::optional<int64_t> NumberIn(const YamlValue& value, int64_t least, int64_t largest) {
  if (value.scalar() == nullptr) return std::nullopt;
  const std::optional<int64_t> number = CountFromText(*value.scalar());
  if (!number || *number < least || *number > largest) return std::nullopt;
  return number;
}

std::optional<int64_t> VersionIn(const YamlValue& value) { return NumberIn(value, 1, kLargestVersion); }

void ReadListed(const YamlValue::List& list, MappingReader* reader, VersionPolicy* policy) {
  policy->kind = VersionPolicy::Kind::kListed;
  std::set<int64_t> listed;
  for (const YamlValue& item : list) {
    const std::optional<int64_t> version = VersionIn(item);
    if (!version) {
      reader->Fail("versions", absl::StrCat("must be a list of whole numbers from 1 to ", kLargestVersion,
                                            ", as [1, 3]; has ", Quoted(item)));
    } else if (!listed.insert(*version).second) {
      reader->Fail("versions", absl::StrCat("names ", *version, " twice"));
    } else {
      policy->listed.push_back(*version);
    }
  }
  if (list.empty()) reader->Fail("versions", "must name at least one version");
}

void ReadPolicy(MappingReader* reader, VersionPolicy* policy) {
  const YamlValue* const value = reader->Find("versions");
  if (value == nullptr) return;
  if (value->list() != nullptr) return ReadListed(*value->list(), reader, policy);
  if (value->scalar() != nullptr && *value->scalar() == "latest") return;
  if (value->scalar() != nullptr && *value->scalar() == "all") {
    policy->kind = VersionPolicy::Kind::kAll;
    return;
  }
  const YamlValue::Mapping* const mapping = value->mapping();
  if (mapping == nullptr || mapping->size() != 1 || mapping->front().key != "latest") {
    return reader->Fail("versions", kVersionsRule);
  }
  const YamlValue& count = mapping->front().value;
  const std::optional<int64_t> latest = NumberIn(count, 1, kMaxLatest);
  if (!latest) {
    return reader->Fail("versions", absl::StrCat("latest must be a whole number from 1 to ", kMaxLatest,
                                                 "; was ", Quoted(count)));
  }
  policy->latest = static_cast<int>(*latest);
}

bool IsLabel(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxLabelSize && absl::ascii_isalpha(name[0]) &&
         absl::c_all_of(name, [](char c) { return absl::ascii_isalnum(c) || absl::StrContains("_-.", c); });
}

void ReadLabels(MappingReader* reader, VersionRouting* routing) {
  const YamlValue* const value = reader->Find("version_labels");
  if (value == nullptr) return;
  if (value->mapping() == nullptr || value->mapping()->size() > kMaxLabels) {
    reader->Fail("version_labels", absl::StrCat("must be up to ", kMaxLabels, " lines \"label: version\""));
  }
  if (value->mapping() == nullptr) return;
  for (const YamlEntry& entry : *value->mapping()) {
    if (!IsLabel(entry.key)) {
      reader->Fail("version_labels",
                   absl::StrCat("has the label \"", entry.key, "\": a label is a letter and then letters, ",
                                "digits, '_', '-' and '.', at most ", kMaxLabelSize, " in all"));
    }
    if (const std::optional<int64_t> version = VersionIn(entry.value)) {
      routing->labels[entry.key] = *version;
    } else {
      reader->Fail("version_labels",
                   absl::StrCat(entry.key, " must point to a version, a whole number from 1 to ",
                                kLargestVersion, "; was ", Quoted(entry.value)));
    }
  }
}

// Whether version_labels has a line for it, be what it points to right or wrong; or has no lines at all,
// which is said of it.
bool IsInVersionLabels(const std::string& label, MappingReader* reader) {
  const YamlValue* const labels = reader->Find("version_labels");
  if (labels == nullptr) return false;
  return labels->mapping() == nullptr ||
         absl::c_any_of(*labels->mapping(), [&](const YamlEntry& entry) { return entry.key == label; });
}

void ReadTraffic(MappingReader* reader, VersionRouting* routing) {
  const YamlValue* const value = reader->Find("traffic");
  if (value == nullptr) return;
  if (value->mapping() == nullptr || value->mapping()->empty() || value->mapping()->size() > 2) {
    reader->Fail("traffic", "must be one or two lines \"label: weight\"");
  }
  if (value->mapping() == nullptr || value->mapping()->size() > kMaxLabels) return;
  for (const YamlEntry& entry : *value->mapping()) {
    if (!IsInVersionLabels(entry.key, reader)) {
      reader->Fail("traffic", absl::StrCat("has the label \"", entry.key,
                                           "\", which version_labels does not point to a version"));
    }
    if (const std::optional<int64_t> weight = NumberIn(entry.value, 0, kMaxWeight)) {
      routing->traffic.push_back({entry.key, static_cast<int>(*weight)});
    } else {
      reader->Fail("traffic", absl::StrCat("the weight of ", entry.key, " must be a whole number from 0 to ",
                                           kMaxWeight, "; was ", Quoted(entry.value)));
    }
  }
  if (reader->IsRight("traffic") &&
      absl::c_all_of(routing->traffic, [](const VersionRouting::Share& s) { return s.weight == 0; })) {
    reader->Fail("traffic", "must have a weight that is not 0");
  }
}

}  // namespace

void ReadVersionKeys(MappingReader* reader, VersionPolicy* policy, VersionRouting* routing) {
  ReadPolicy(reader, policy);
  ReadLabels(reader, routing);
  ReadTraffic(reader, routing);
}

}  // namespace calserve
