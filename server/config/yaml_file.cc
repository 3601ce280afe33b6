#include "server/config/yaml_file.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/base/status_macros.h"
#include "server/config/text_file.h"

namespace calserve {
namespace {

int LineOf(const YAML::Mark& mark) { return mark.line + 1; }

absl::Status ErrorAt(const std::string& path, int line, absl::string_view message) {
  return absl::InvalidArgumentError(absl::StrCat(path, ":", line, ": ", message));
}

// Finds the first alias (*name). Nested aliases let a few lines stand for gigabytes, and one of itself for
// infinity; parsing as events expands none.
class AliasFinder final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    if (!mark_) mark_ = mark;
  }
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
  }
  void OnMapEnd() override {}

  const std::optional<YAML::Mark>& mark() const { return mark_; }

 private:
  std::optional<YAML::Mark> mark_;
};

// Where the first alias in `text` is. Throws YAML::Exception.
std::optional<YAML::Mark> FindAlias(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  AliasFinder finder;
  while (parser.HandleNextDocument(finder)) {
  }
  return finder.mark();
}

// Converts nodes of the file at `path`; bad keys are said in problems() and left out.
class Converter {
 public:
  explicit Converter(const std::string& path) : path_(path) {}

  YamlValue Convert(const YAML::Node& node) {
    YamlValue converted;
    converted.line = LineOf(node.Mark());
    if (node.IsScalar()) {
      converted.value = node.Scalar();
    } else if (node.IsSequence()) {
      YamlValue::List list;
      for (const YAML::Node& item : node) list.push_back(Convert(item));
      converted.value = std::move(list);
    } else if (node.IsMap()) {
      converted.value = ConvertMapping(node);
    }
    return converted;
  }

  const std::vector<absl::Status>& problems() const { return problems_; }

 private:
  YamlValue::Mapping ConvertMapping(const YAML::Node& node) {
    YamlValue::Mapping mapping;
    std::map<std::string, int> lines;
    for (const auto& entry : node) {
      const YAML::Node& key = entry.first;
      const int line = LineOf(key.Mark());
      if (!key.IsScalar()) {
        problems_.push_back(ErrorAt(path_, line, "a key must be plain text"));
        continue;
      }
      const auto [before, is_new] = lines.emplace(key.Scalar(), line);
      if (!is_new) {
        problems_.push_back(ErrorAt(
            path_, line, absl::StrCat(key.Scalar(), " is given twice, first on line ", before->second)));
        continue;
      }
      YamlValue value = Convert(entry.second);
      if (entry.second.IsNull()) value.line = line;  // What is not there has no mark.
      mapping.push_back({key.Scalar(), line, std::move(value)});
    }
    return mapping;
  }

  const std::string& path_;
  std::vector<absl::Status> problems_;
};

// What messages say of a text that is not what it must be; `message`, at `mark`, is in YAML's words.
struct Format {
  absl::string_view mapping;  // "must hold ..."
  absl::Status (*fault)(const std::string& path, absl::string_view text, const YAML::Mark& mark,
                        const std::string& message);
};

absl::Status YamlFault(const std::string& path, absl::string_view, const YAML::Mark& mark,
                       const std::string& message) {
  return ErrorAt(path, LineOf(mark), message);
}

absl::Status JsonFault(const std::string& path, absl::string_view text, const YAML::Mark& mark,
                       const std::string& message) {
  try {
    // For its message: yaml-cpp's place is not where a file was cut off, and its words are YAML's.
    const auto parsed = nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& e) {
    const std::string what = e.what();  // "[...] parse error at line 1, column 9: ..."
    const size_t at = what.find(" at line ");
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is not valid JSON", at == std::string::npos ? ": " + what : what.substr(at)));
  }
  if (absl::StartsWith(message, YAML::ErrorMsg::INVALID_UNICODE)) {
    return ErrorAt(path, LineOf(mark),
                   "a character beyond U+FFFF must be written as itself, not as two \\u escapes "
                   "(Python: json.dumps(..., ensure_ascii=False))");
  }
  return ErrorAt(path, LineOf(mark), message);
}

constexpr Format kYaml = {"must hold lines \"key: value\"", YamlFault};
constexpr Format kJson = {"must hold a JSON object, {\"key\": value}", JsonFault};

absl::StatusOr<YamlValue> ReadFile(const std::string& path, const Format& format,
                                   std::vector<absl::Status>* problems) {
  ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  try {
    if (const std::optional<YAML::Mark> alias = FindAlias(text)) {
      return format.fault(path, text, *alias, "aliases (*name) are not taken; write the value out");
    }
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    YamlValue empty{.line = 1, .value = YamlValue::Mapping()};
    if (documents.empty() || documents[0].IsNull()) return empty;
    if (documents.size() > 1) {
      return format.fault(path, text, documents[1].Mark(), "a second document; there must be one");
    }
    if (!documents[0].IsMap()) return ErrorAt(path, LineOf(documents[0].Mark()), format.mapping);
    Converter converter(path);
    YamlValue root = converter.Convert(documents[0]);
    problems->insert(problems->end(), converter.problems().begin(), converter.problems().end());
    return root;
  } catch (const YAML::Exception& e) {
    return format.fault(path, text, e.mark, e.msg);
  }
}

}  // namespace

absl::StatusOr<YamlValue> ReadYamlFile(const std::string& path) {
  std::vector<absl::Status> problems;
  absl::StatusOr<YamlValue> root = ReadYamlFile(path, &problems);
  if (!problems.empty()) return problems.front();
  return root;
}

absl::StatusOr<YamlValue> ReadYamlFile(const std::string& path, std::vector<absl::Status>* problems) {
  return ReadFile(path, kYaml, problems);
}

absl::StatusOr<YamlValue> ReadJsonFile(const std::string& path, std::vector<absl::Status>* problems) {
  return ReadFile(path, kJson, problems);
}

}  // namespace calserve
