#include "server/config/labels.h"

#include <map>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "server/config/text_file.h"
#include "text/characters.h"

namespace calserve {
namespace {

constexpr size_t kMostFaults = 10;  // that are named; a file that is none of names has one a line

class LabelReader {
 public:
  explicit LabelReader(const std::string& path) : path_(path) {}

  void Read(absl::string_view text) {
    const bool cr_alone = absl::StrContains(text, '\r') && !absl::StrContains(text, '\n');
    if (cr_alone) Fail(1, "lines that end with CR alone; save the file with LF or CRLF");
    std::vector<absl::string_view> lines = absl::StrSplit(text, cr_alone ? '\r' : '\n');
    if (lines.back().empty()) lines.pop_back();  // what follows the last line's end
    for (size_t i = 0; i < lines.size(); ++i) ReadLine(i + 1, absl::StripSuffix(lines[i], "\r"));
    if (lines.size() < 2) {
      faults_.push_back(absl::StrCat(path_, " must have at least 2 labels; has ", labels_.size()));
    }
  }

  std::vector<std::string> TakeLabels() { return std::move(labels_); }

  std::vector<absl::Status> Problems() const {
    std::vector<absl::Status> problems;
    for (const std::string& fault : faults_) problems.push_back(absl::InvalidArgumentError(fault));
    if (more_ > 0) {
      problems.push_back(absl::InvalidArgumentError(absl::StrCat(
          path_, " has ", more_, more_ == 1 ? " fault" : " faults", " more in the lines after")));
    }
    return problems;
  }

 private:
  void ReadLine(size_t line, absl::string_view label) {
    if (label.empty()) return Fail(line, "an empty line; each line is the name of one class");
    const absl::string_view name = absl::StripAsciiWhitespace(label);
    if (name != label) Fail(line, "spaces around the name of a class");
    if (HasControlCharacter(name)) {
      return Fail(line, absl::StrCat("the name of a class must have no control characters (C0, DEL, C1, line "
                                     "separators, bidirectional controls); was \"",
                                     absl::CHexEscape(name), "\""));
    }
    const auto [first, is_new] = line_of_.emplace(label, line);
    if (!is_new) return Fail(line, absl::StrCat("\"", label, "\" is already on line ", first->second));
    labels_.emplace_back(label);
  }

  void Fail(size_t line, absl::string_view what) {
    if (faults_.size() == kMostFaults) {
      ++more_;
    } else {
      faults_.push_back(absl::StrCat(path_, ":", line, ": ", what));
    }
  }

  const std::string& path_;
  std::vector<std::string> labels_;
  std::map<std::string, size_t> line_of_;
  std::vector<std::string> faults_;
  size_t more_ = 0;
};

}  // namespace

std::vector<std::string> ReadLabels(const std::string& path, std::vector<absl::Status>* problems) {
  const absl::StatusOr<std::string> text = ReadTextFile(path);
  if (!text.ok()) {
    problems->push_back(text.status());
    return {};
  }
  LabelReader reader(path);
  reader.Read(*text);
  const std::vector<absl::Status> found = reader.Problems();
  problems->insert(problems->end(), found.begin(), found.end());
  return reader.TakeLabels();
}

}  // namespace calserve
