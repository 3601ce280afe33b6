#include "server/rpc/kserve_models.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/prediction/not_ready.h"

namespace calserve::kserve {

absl::StatusOr<VersionChoice> ReadVersion(const std::string& text) {
  VersionChoice choice;
  if (text.empty()) return choice;
  if (!std::all_of(text.begin(), text.end(), absl::ascii_isdigit) ||
      !absl::SimpleAtoi(text, &choice.version)) {
    return WithField(
        absl::InvalidArgumentError(absl::StrCat(
            "a model version must be a whole number, or empty for the server's choice; was '", text, "'")),
        "model_version");
  }
  if (choice.version > 0) return choice;
  return WithField(WithReason(absl::NotFoundError("no version 0: versions are numbered from 1"),
                              "MODEL_VERSION_NOT_FOUND"),
                   "model_version");
}

absl::StatusOr<Snapshot> FindModel(const ServingTable& table, const std::string& name,
                                   const std::string& version) {
  ASSIGN_OR_RETURN(const VersionChoice choice, ReadVersion(version));
  return table.Find(name, choice);
}

bool KnowsModel(const ModelRepository* repository, const std::string& name, const std::string& version) {
  const absl::StatusOr<VersionChoice> choice = ReadVersion(version);
  return repository != nullptr && choice.ok() && IsKnown(repository->List(), name, choice->version);
}

}  // namespace calserve::kserve
