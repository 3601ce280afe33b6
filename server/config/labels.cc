#include "server/config/labels.h"

#include <map>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "server/base/status_macros.h"
#include "server/config/text_file.h"

namespace calserve {

absl::StatusOr<std::vector<std::string>> ReadLabels(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  if (lines.back().empty()) lines.pop_back();  // what follows the last line's end
  std::vector<std::string> labels;
  std::map<std::string, size_t> line_of;
  for (absl::string_view label : lines) {
    label = absl::StripSuffix(label, "\r");
    const size_t line = labels.size() + 1;
    const auto error = [&](absl::string_view what) {
      return absl::InvalidArgumentError(absl::StrCat(path, ":", line, ": ", what));
    };
    if (label.empty()) return error("an empty line; each line is the name of one class");
    if (absl::StripAsciiWhitespace(label) != label) return error("spaces around the name of a class");
    labels.emplace_back(label);
    const auto [first, is_new] = line_of.emplace(labels.back(), line);
    if (!is_new) return error(absl::StrCat("\"", label, "\" is already on line ", first->second));
  }
  if (labels.size() < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " must have at least 2 labels; has ", labels.size()));
  }
  return labels;
}

}  // namespace calserve
