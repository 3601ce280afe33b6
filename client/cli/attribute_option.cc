#include "client/cli/attribute_option.h"

#include "absl/strings/str_cat.h"
#include "client/cli/option_rules.h"
#include "client/cli/printable.h"

namespace calserve::cli {

CLI::Validator KeyValue() {
  const auto check = [](const std::string& text) -> std::string {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::StrCat("must be KEY=VALUE, as camera=north; was ", text);
    }
    return IsUtf8(text) ? "" : "must be UTF-8";
  };
  return CLI::Validator(check, "KEY=VALUE");
}

std::vector<std::pair<std::string, std::string>> ParseAttributes(const std::vector<std::string>& texts) {
  std::vector<std::pair<std::string, std::string>> attributes;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    attributes.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return attributes;
}

std::optional<client::Slice> ParseSlice(const std::string& text) {
  if (text.empty()) return std::nullopt;
  const auto [key, value] = ParseAttributes({text}).front();
  return client::Slice{key, value};
}

std::string SliceText(const std::optional<client::Slice>& slice) {
  return slice.has_value() ? Printable(absl::StrCat(slice->key, "=", slice->value)) : "";
}

}  // namespace calserve::cli
