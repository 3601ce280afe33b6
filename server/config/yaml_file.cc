#include "server/config/yaml_file.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <map>
#include <optional>
#include <sstream>
#include <utility>

#include "absl/status/status.h"
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
    if (!line_) line_ = LineOf(mark);
  }
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
  }
  void OnMapEnd() override {}

  std::optional<int> line() const { return line_; }

 private:
  std::optional<int> line_;
};

// Line of the first alias in `text`. Throws YAML::Exception.
std::optional<int> FindAlias(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  AliasFinder finder;
  while (parser.HandleNextDocument(finder)) {
  }
  return finder.line();
}

absl::StatusOr<YamlValue> Convert(const std::string& path, const YAML::Node& node);

absl::StatusOr<YamlValue::Mapping> ConvertMapping(const std::string& path, const YAML::Node& node) {
  YamlValue::Mapping mapping;
  std::map<std::string, int> lines;
  for (const auto& entry : node) {
    const YAML::Node& key = entry.first;
    const int line = LineOf(key.Mark());
    if (!key.IsScalar()) return ErrorAt(path, line, "a key must be plain text");
    const auto [before, is_new] = lines.emplace(key.Scalar(), line);
    if (!is_new) {
      return ErrorAt(path, line,
                     absl::StrCat(key.Scalar(), " is given twice, first on line ", before->second));
    }
    ASSIGN_OR_RETURN(YamlValue converted, Convert(path, entry.second));
    mapping.push_back({key.Scalar(), line, std::move(converted)});
  }
  return mapping;
}

absl::StatusOr<YamlValue> Convert(const std::string& path, const YAML::Node& node) {
  YamlValue converted;
  converted.line = LineOf(node.Mark());
  if (node.IsScalar()) {
    converted.value = node.Scalar();
  } else if (node.IsSequence()) {
    YamlValue::List list;
    for (const YAML::Node& item : node) {
      ASSIGN_OR_RETURN(YamlValue converted_item, Convert(path, item));
      list.push_back(std::move(converted_item));
    }
    converted.value = std::move(list);
  } else if (node.IsMap()) {
    ASSIGN_OR_RETURN(converted.value, ConvertMapping(path, node));
  }
  return converted;
}

}  // namespace

absl::StatusOr<YamlValue> ReadYamlFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  try {
    if (const std::optional<int> alias = FindAlias(text)) {
      return ErrorAt(path, *alias, "aliases (*name) are not taken; write the value out");
    }
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    YamlValue empty{.line = 1, .value = YamlValue::Mapping()};
    if (documents.empty() || documents[0].IsNull()) return empty;
    if (documents.size() > 1) {
      return ErrorAt(path, LineOf(documents[1].Mark()), "a second document; there must be one");
    }
    if (!documents[0].IsMap())
      return ErrorAt(path, LineOf(documents[0].Mark()), "must hold lines \"key: value\"");
    return Convert(path, documents[0]);
  } catch (const YAML::Exception& e) {
    return ErrorAt(path, LineOf(e.mark), e.msg);
  }
}

}  // namespace calserve
