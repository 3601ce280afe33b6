#include "server/config/mapping_reader.h"

#include <cmath>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/config/nearest_name.h"
#include "server/config/values.h"

namespace calserve {
namespace {

constexpr int kMostFaults = 10;  // of one key that are named

std::optional<int> IntegerIn(const YamlValue& value, int least, int largest) {
  if (value.scalar() == nullptr) return std::nullopt;
  const std::optional<int64_t> count = CountFromText(*value.scalar());
  if (!count || *count < least || *count > largest) return std::nullopt;
  return static_cast<int>(*count);
}

std::optional<float> NumberIn(const YamlValue& value) {
  float number = 0;
  if (value.scalar() == nullptr || !absl::SimpleAtof(*value.scalar(), &number) || !std::isfinite(number)) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

std::string Quoted(const YamlValue& value) {
  if (value.scalar() != nullptr) return absl::StrCat("\"", *value.scalar(), "\"");
  if (value.list() != nullptr) return "a list";
  return value.mapping() != nullptr ? "a section" : "nothing";
}

MappingReader::MappingReader(std::string path, std::string name, const YamlValue& value)
    : path_(std::move(path)), name_(std::move(name)), value_(value) {
  if (value.mapping() == nullptr)
    Fail("", absl::StrCat("must hold lines \"key: value\"; was ", Quoted(value)));
}

const YamlValue* MappingReader::Find(absl::string_view key) {
  if (!absl::c_linear_search(known_, key)) known_.emplace_back(key);
  if (value_.mapping() == nullptr) return nullptr;
  for (const YamlEntry& entry : *value_.mapping()) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

void MappingReader::Text(absl::string_view key, std::string* out) {
  const YamlValue* const value = Find(key);
  if (value == nullptr) return;
  if (value->scalar() == nullptr || value->scalar()->empty()) {
    return Fail(key, absl::StrCat("must be text; was ", Quoted(*value)));
  }
  *out = *value->scalar();
}

void MappingReader::Boolean(absl::string_view key, bool* out) {
  Choice<bool>(key, {{"true", true}, {"false", false}}, out);
}

void MappingReader::Integer(absl::string_view key, int least, int largest, int* out) {
  const YamlValue* const value = Find(key);
  if (value == nullptr) return;
  const std::optional<int> integer = IntegerIn(*value, least, largest);
  if (!integer) {
    return Fail(
        key, absl::StrCat("must be a whole number from ", least, " to ", largest, "; was ", Quoted(*value)));
  }
  *out = *integer;
}

void MappingReader::Number(absl::string_view key, double least, double largest, double* out) {
  const YamlValue* const value = Find(key);
  if (value == nullptr) return;
  double number = 0;
  if (value->scalar() == nullptr || !absl::SimpleAtod(*value->scalar(), &number) ||
      !(number >= least && number <= largest)) {
    return Fail(key,
                absl::StrCat("must be a number from ", least, " to ", largest, "; was ", Quoted(*value)));
  }
  *out = number;
}

void MappingReader::Integers(absl::string_view key, int least, int largest, std::vector<int64_t>* out) {
  const YamlValue* const value = Find(key);
  if (value == nullptr) return;
  const std::string rule = absl::StrCat("must be a list of whole numbers from ", least, " to ", largest);
  if (value->list() == nullptr) return Fail(key, absl::StrCat(rule, "; was ", Quoted(*value)));
  std::vector<int64_t> integers;
  for (const YamlValue& item : *value->list()) {
    const std::optional<int> integer = IntegerIn(item, least, largest);
    if (integer) {
      integers.push_back(*integer);
    } else {
      Fail(key, absl::StrCat(rule, "; has ", Quoted(item)));
    }
  }
  if (IsRight(key)) *out = std::move(integers);
}

void MappingReader::Numbers(absl::string_view key, std::vector<float>* out) {
  const YamlValue* const value = Find(key);
  if (value == nullptr) return;
  if (value->list() == nullptr)
    return Fail(key, absl::StrCat("must be a list of numbers; was ", Quoted(*value)));
  std::vector<float> numbers;
  for (const YamlValue& item : *value->list()) {
    const std::optional<float> number = NumberIn(item);
    if (number) {
      numbers.push_back(*number);
    } else {
      Fail(key, absl::StrCat("must be a list of numbers; has ", Quoted(item)));
    }
  }
  if (IsRight(key)) *out = std::move(numbers);
}

void MappingReader::Bytes(absl::string_view key, int64_t least, int64_t largest, int64_t* out) {
  const YamlValue* const value = Find(key);
  if (value == nullptr) return;
  std::optional<int64_t> bytes;
  if (value->scalar() != nullptr) bytes = BytesFromText(*value->scalar());
  if (!bytes || *bytes < least || *bytes > largest) {
    return Fail(key, absl::StrCat("must be a size from ", BytesToText(least), " to ", BytesToText(largest),
                                  ", as 64MiB; was ", Quoted(*value)));
  }
  *out = *bytes;
}

void MappingReader::Duration(absl::string_view key, absl::Duration largest, absl::Duration* out) {
  const YamlValue* const value = Find(key);
  if (value == nullptr) return;
  std::optional<absl::Duration> duration;
  if (value->scalar() != nullptr) duration = DurationFromText(*value->scalar());
  if (!duration || *duration > largest) {
    return Fail(key, absl::StrCat("must be a duration from 0 to ", DurationToText(largest), ", as 5ms; was ",
                                  Quoted(*value)));
  }
  *out = *duration;
}

int MappingReader::IndexOfChoice(absl::string_view key, absl::Span<const absl::string_view> names) {
  const YamlValue* const value = Find(key);
  if (value == nullptr) return -1;
  for (size_t i = 0; i < names.size(); ++i) {
    if (value->scalar() != nullptr && *value->scalar() == names[i]) return static_cast<int>(i);
  }
  Fail(key, absl::StrCat("must be ", absl::StrJoin(names, " | "), "; was ", Quoted(*value)));
  return -1;
}

bool MappingReader::IsRight(absl::string_view key) const { return faults_.count(std::string(key)) == 0; }

void MappingReader::Require(absl::string_view key) {
  if (Find(key) != nullptr) return;
  if (value_.mapping() != nullptr) Fail("", absl::StrCat("lacks ", key));
  ++faults_[std::string(key)];
}

void MappingReader::Fail(absl::string_view key, absl::string_view message) {
  const YamlValue* const value = key.empty() ? nullptr : Find(key);
  if (++faults_[std::string(key)] > kMostFaults) return;
  errors_.push_back(ErrorAt(value == nullptr ? value_.line : value->line, key, message));
}

absl::Status MappingReader::Finish() const {
  const std::vector<absl::Status> problems = Problems();
  return problems.empty() ? absl::OkStatus() : problems.front();
}

std::vector<absl::Status> MappingReader::Problems() const {
  std::vector<absl::Status> problems;
  if (value_.mapping() != nullptr) {
    for (const YamlEntry& entry : *value_.mapping()) {
      if (absl::c_linear_search(known_, entry.key)) continue;
      problems.push_back(
          ErrorAt(entry.line, entry.key, absl::StrCat("is not a known key", DidYouMean(entry.key, known_))));
    }
  }
  problems.insert(problems.end(), errors_.begin(), errors_.end());
  for (const auto& [key, count] : faults_) {
    const int more = count - kMostFaults;
    if (more <= 0) continue;
    problems.push_back(
        ErrorAt(value_.line, key, absl::StrCat("has ", more, more == 1 ? " more fault" : " more faults")));
  }
  return problems;
}

absl::Status MappingReader::ErrorAt(int line, absl::string_view key, absl::string_view message) const {
  std::string what = name_;
  if (!key.empty()) absl::StrAppend(&what, what.empty() ? "" : ".", key);
  if (what.empty()) what = "the file";
  return absl::InvalidArgumentError(absl::StrCat(path_, ":", line, ": ", what, " ", message));
}

}  // namespace calserve
