#include "server/config/option.h"

#include <limits>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "server/config/values.h"

namespace calserve {
namespace {

// A value of a kind that has limits, as one number: a count, bytes, or nanoseconds.
std::optional<int64_t> ToNumber(OptionKind kind, absl::string_view text) {
  if (kind == OptionKind::kCount) return CountFromText(text);
  if (kind == OptionKind::kBytes) return BytesFromText(text);
  const std::optional<absl::Duration> duration = DurationFromText(text);
  if (!duration) return std::nullopt;
  return absl::ToInt64Nanoseconds(*duration);
}

std::string ToText(OptionKind kind, int64_t number) {
  return kind == OptionKind::kBytes ? BytesToText(number) : absl::StrCat(number);
}

template <typename... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <typename... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

// Stores a value that has been checked.
void Assign(const Option::Field& field, absl::string_view text, int64_t number) {
  std::visit(Overloaded{
                 [&](std::string* value) { *value = std::string(text); },
                 [&](std::vector<std::string>* value) {
                   value->clear();
                   for (absl::string_view item : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
                     value->emplace_back(absl::StripAsciiWhitespace(item));
                   }
                 },
                 [&](int* value) { *value = static_cast<int>(number); },
                 [&](int64_t* value) { *value = number; },
                 [&](absl::Duration* value) { *value = absl::Nanoseconds(number); },
                 [&](bool* value) { *value = text == "true"; },
             },
             field);
}

bool Fits(const Option::Field& field, int64_t number) {
  return !std::holds_alternative<int*>(field) || number <= std::numeric_limits<int>::max();
}

}  // namespace

std::string Option::section() const {
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(name, absl::MaxSplits('.', 1));
  return parts.second.empty() ? "" : std::string(parts.first);
}

std::string Option::flag() const {
  return absl::StrCat("--", absl::StrReplaceAll(name, {{".", "-"}, {"_", "-"}}));
}

std::string Option::flags() const {
  return short_flag == nullptr ? flag() : absl::StrCat(flag(), ",", short_flag);
}

std::string Option::variable() const {
  return absl::StrCat("CALSERVE_", absl::AsciiStrToUpper(absl::StrReplaceAll(name, {{".", "_"}})));
}

std::string Option::Rule() const {
  const std::vector<absl::string_view> words = absl::StrSplit(allowed, ' ', absl::SkipEmpty());
  switch (kind) {
    case OptionKind::kText:
      return absl::StrCat("text (", unit, ")");
    case OptionKind::kChoice:
      return absl::StrJoin(words, " | ");
    case OptionKind::kList:
      return absl::StrCat(unit, ", with commas between them");
    case OptionKind::kCount:
      return absl::StrCat("a whole number from ", words[0], " to ", words[1]);
    case OptionKind::kBytes:
      return absl::StrCat("a size from ", words[0], " to ", words[1]);
    case OptionKind::kDuration:
      return absl::StrCat("a duration from ", words[0], " to ", words[1]);
    case OptionKind::kFlag:
      return "true | false";
  }
  return "";
}

absl::Status Option::Set(absl::string_view text, ServerConfig* config) const {
  const Field target = field(*config);
  const std::vector<absl::string_view> words = absl::StrSplit(allowed, ' ', absl::SkipEmpty());
  bool is_allowed = true;
  int64_t number = 0;
  if (kind == OptionKind::kChoice) {
    is_allowed = absl::c_linear_search(words, text);
  } else if (kind == OptionKind::kFlag) {
    is_allowed = text == "true" || text == "false";
  } else if (kind != OptionKind::kText && kind != OptionKind::kList) {
    const std::optional<int64_t> parsed = ToNumber(kind, text);
    number = parsed.value_or(0);
    is_allowed = parsed && number >= *ToNumber(kind, words[0]) && number <= *ToNumber(kind, words[1]) &&
                 Fits(target, number);
  }
  if (!is_allowed)
    return absl::InvalidArgumentError(absl::StrCat("must be ", Rule(), "; was \"", text, "\""));
  Assign(target, text, number);
  return absl::OkStatus();
}

std::string Option::Get(ServerConfig config) const {
  return std::visit(Overloaded{
                        [](std::string* value) { return *value; },
                        [](std::vector<std::string>* value) { return absl::StrJoin(*value, ","); },
                        [this](int* value) { return ToText(kind, *value); },
                        [this](int64_t* value) { return ToText(kind, *value); },
                        [](absl::Duration* value) { return DurationToText(*value); },
                        [](bool* value) { return std::string(*value ? "true" : "false"); },
                    },
                    field(config));
}

}  // namespace calserve
