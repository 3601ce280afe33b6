#include "calibration_io/json_reader.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace calserve {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxDepth = 16;

// A value as it is quoted in an error: short.
std::string Excerpt(const Json& value) {
  constexpr size_t kMax = 60;
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() <= kMax ? text : absl::StrCat(text.substr(0, kMax), "...");
}

}  // namespace

absl::StatusOr<Json> ParseJson(absl::string_view text) {
  if (text.size() > static_cast<size_t>(kMaxJsonBytes)) {
    return absl::InvalidArgumentError(
        absl::StrCat("JSON must have at most ", kMaxJsonBytes, " bytes; has ", text.size()));
  }
  std::vector<std::set<std::string>> keys;  // of each object that is open
  std::string repeated;
  bool too_deep = false;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > kMaxDepth) too_deep = true;
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) {
      repeated = value.get<std::string>();
    }
    return !too_deep;
  };
  try {
    Json json = Json::parse(text.begin(), text.end(), watch);
    if (too_deep)
      return absl::InvalidArgumentError(absl::StrCat("JSON must be nested at most ", kMaxDepth, " deep"));
    if (!repeated.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("JSON key ", repeated, " must be given once"));
    }
    return json;
  } catch (const Json::exception& e) {
    // Begins with the name of the library's exception, in brackets.
    const std::vector<std::string> parts = absl::StrSplit(e.what(), absl::MaxSplits("] ", 1));
    return absl::InvalidArgumentError(absl::StrCat("malformed JSON: ", parts.back()));
  }
}

JsonReader::JsonReader(const Json& json, std::string path, absl::Status* error)
    : json_(json), path_(std::move(path)), error_(*error) {
  if (!json_.is_object()) {
    Fail(path_.empty() ? "the document" : path_, absl::StrCat("must be a JSON object; was ", Excerpt(json_)));
  }
}

std::string JsonReader::PathOf(absl::string_view key) const {
  return path_.empty() ? std::string(key) : absl::StrCat(path_, ".", key);
}

void JsonReader::Fail(absl::string_view path, absl::string_view what) {
  if (error_.ok()) error_ = absl::InvalidArgumentError(absl::StrCat(path, " ", what));
}

const Json* JsonReader::Optional(absl::string_view key) {
  known_.emplace_back(key);
  if (!json_.is_object()) return nullptr;
  const auto found = json_.find(std::string(key));
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

const Json& JsonReader::Required(absl::string_view key) {
  static const Json& null = *new Json();
  const Json* const value = Optional(key);
  if (value == nullptr) Fail(PathOf(key), "is missing");
  return value == nullptr ? null : *value;
}

int64_t JsonReader::Integer(absl::string_view key) {
  const Json& value = Required(key);
  if (value.is_number_integer()) return value.get<int64_t>();
  Fail(PathOf(key), absl::StrCat("must be an integer; was ", Excerpt(value)));
  return 0;
}

double JsonReader::Number(absl::string_view key) {
  const Json& value = Required(key);
  if (value.is_number() && std::isfinite(value.get<double>())) return value.get<double>();
  Fail(PathOf(key), absl::StrCat("must be a finite number; was ", Excerpt(value)));
  return 0;
}

std::optional<double> JsonReader::OptionalNumber(absl::string_view key) {
  if (Optional(key) == nullptr) return std::nullopt;
  return Number(key);
}

bool JsonReader::Bool(absl::string_view key) {
  const Json& value = Required(key);
  if (value.is_boolean()) return value.get<bool>();
  Fail(PathOf(key), absl::StrCat("must be true or false; was ", Excerpt(value)));
  return false;
}

std::string JsonReader::String(absl::string_view key) {
  const Json& value = Required(key);
  if (value.is_string()) return value.get<std::string>();
  Fail(PathOf(key), absl::StrCat("must be a string; was ", Excerpt(value)));
  return "";
}

void JsonReader::RefuseOtherKeys() {
  if (!json_.is_object()) return;
  for (const auto& item : json_.items()) {
    if (std::find(known_.begin(), known_.end(), item.key()) != known_.end()) continue;
    Fail(PathOf(item.key()), absl::StrCat("is not a known key; known are ", absl::StrJoin(known_, ", ")));
  }
}

}  // namespace calserve
