#include "server/access/roles.h"

#include <array>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace calserve {
namespace {

constexpr std::array<std::pair<absl::string_view, Role>, 4> kNames = {{{"predict", Role::kPredict},
                                                                       {"feedback", Role::kFeedback},
                                                                       {"read", Role::kRead},
                                                                       {"admin", Role::kAdmin}}};

}  // namespace

std::string Roles::ToString() const {
  std::vector<absl::string_view> names;
  for (const auto& [name, role] : kNames) {
    if (Has(role)) names.push_back(name);
  }
  return names.empty() ? "none" : absl::StrJoin(names, ",");
}

Roles RoleNamed(absl::string_view name) {
  for (const auto& [known, role] : kNames) {
    if (known == name) return role == Role::kAdmin ? Roles{Role::kAdmin, Role::kRead} : Roles(role);
  }
  return {};
}

absl::StatusOr<Roles> ParseRoles(absl::string_view names, char separator) {
  Roles out;
  for (absl::string_view part : absl::StrSplit(names, separator, absl::SkipWhitespace())) {
    const absl::string_view name = absl::StripAsciiWhitespace(part);
    const Roles role = RoleNamed(name);
    if (role.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("a role is predict, feedback, read or admin; was \"", name, "\""));
    }
    out = out.With(role);
  }
  if (out.empty()) {
    return absl::InvalidArgumentError("there must be at least one role: predict, feedback, read, admin");
  }
  return out;
}

}  // namespace calserve
