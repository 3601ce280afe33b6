#include "client/cli/requirements.h"

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "client/cli/session.h"

namespace calserve::cli {

absl::Status CheckRequirements(const std::vector<Requirement>& requirements) {
  for (const Requirement& requirement : requirements) {
    if (requirement.met) continue;
    for (const CLI::Option* const option : requirement.options) {
      if (option->count() == 0) continue;
      return UsageError(absl::StrCat(option->get_name(), " needs ", requirement.needs));
    }
  }
  return absl::OkStatus();
}

}  // namespace calserve::cli
