#include "server/prediction/attribute_check.h"

#include <string>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/error_info.h"
#include "text/characters.h"

namespace calserve {
namespace {

// Of the keys that model.yaml lists, each once.
absl::Status CheckAttributeKey(const std::string& key, const Attributes& attributes,
                               const ServedModel& model) {
  if (key.empty() || key.size() > kMaxAttributeKey) {
    return absl::InvalidArgumentError(
        absl::StrCat("an attribute's key must be 1 to ", kMaxAttributeKey, " bytes; was ", key.size()));
  }
  if (!absl::c_linear_search(model.attribute_keys, key)) {
    return absl::InvalidArgumentError(
        absl::StrCat("model '", model.name, "' takes ",
                     model.attribute_keys.empty() ? std::string("no attributes: its model.yaml lists none")
                                                  : absl::StrCat("the attributes that its model.yaml lists: ",
                                                                 absl::StrJoin(model.attribute_keys, ", ")),
                     "; was '", key, "'"));
  }
  if (absl::c_count_if(attributes, [&](const auto& each) { return each.first == key; }) > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("an attribute must be given once; '", key, "' is there more often"));
  }
  return absl::OkStatus();
}

// What is stored is shown later: in tables on terminals, on pages, in logs.
absl::Status CheckAttributeValue(const std::string& key, const std::string& value) {
  if (value.size() > kMaxAttributeValue) {
    return absl::InvalidArgumentError(absl::StrCat("the value of attribute '", key, "' must be at most ",
                                                   kMaxAttributeValue, " bytes; has ", value.size()));
  }
  if (HasControlCharacter(value)) {
    return absl::InvalidArgumentError(absl::StrCat("the value of attribute '", key,
                                                   "' must have no control characters (C0, DEL, C1, line "
                                                   "separators, bidirectional controls); was \"",
                                                   absl::CHexEscape(value), "\""));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckAttributes(const Attributes& attributes, const ServedModel& model) {
  if (attributes.size() > kMaxAttributes) {
    return WithField(absl::InvalidArgumentError(absl::StrCat("at most ", kMaxAttributes,
                                                             " attributes; there are ", attributes.size())),
                     "attributes");
  }
  for (const auto& [key, value] : attributes) {
    if (absl::Status status = CheckAttributeKey(key, attributes, model); !status.ok()) {
      return WithField(std::move(status), "attributes.key");
    }
    if (absl::Status status = CheckAttributeValue(key, value); !status.ok()) {
      return WithField(std::move(status), "attributes.value");
    }
  }
  return absl::OkStatus();
}

}  // namespace calserve
