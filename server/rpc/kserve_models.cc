#include "server/rpc/kserve_models.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/prediction/not_ready.h"

namespace calserve::kserve {
namespace {

// The table's names for fields, as the requests about a model call them.
absl::Status OfModelRequest(absl::Status status) {
  const std::string field = ErrorField(status);
  if (field == "model") return WithField(std::move(status), "name");
  if (field == "model_version") return WithField(std::move(status), "version");
  return status;
}

}  // namespace

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
  const absl::StatusOr<VersionChoice> choice = ReadVersion(version);
  if (!choice.ok()) return OfModelRequest(choice.status());
  absl::StatusOr<Snapshot> found = table.Find(name, *choice);
  if (!found.ok()) return OfModelRequest(found.status());
  return found;
}

bool KnowsModel(const ModelRepository* repository, const std::string& name, const std::string& version) {
  const absl::StatusOr<VersionChoice> choice = ReadVersion(version);
  return repository != nullptr && choice.ok() && IsKnown(repository->List(), name, choice->version);
}

}  // namespace calserve::kserve
