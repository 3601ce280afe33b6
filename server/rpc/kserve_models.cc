#include "server/rpc/kserve_models.h"

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"

namespace calserve::kserve {
namespace {

// No version has a label yet: the serving table knows versions by number alone.
absl::Status UnknownLabel(const std::string& model, const std::string& label) {
  return WithField(WithReason(absl::NotFoundError(absl::StrCat("model '", model, "' has no version label '",
                                                               label, "'; it has no labels")),
                              "VERSION_LABEL_NOT_FOUND"),
                   "parameters.version_label");
}

}  // namespace

absl::StatusOr<std::optional<int64_t>> ParseVersion(const std::string& text) {
  if (text.empty()) return std::nullopt;
  int64_t version = 0;
  if (!std::all_of(text.begin(), text.end(), absl::ascii_isdigit) || !absl::SimpleAtoi(text, &version)) {
    return WithField(
        absl::InvalidArgumentError(absl::StrCat(
            "a model version must be a whole number, or empty for the newest; was '", text, "'")),
        "model_version");
  }
  return version;
}

absl::StatusOr<Snapshot> FindModel(const ServingTable& table, const std::string& name,
                                   const std::string& version, const std::string& label) {
  ASSIGN_OR_RETURN(const std::optional<int64_t> number, ParseVersion(version));
  if (number.has_value() && !label.empty()) {
    return WithField(absl::InvalidArgumentError(absl::StrCat(
                         "model_version and the parameter version_label exclude each other; were '", version,
                         "' and '", label, "'")),
                     "parameters.version_label");
  }
  // The table takes 0 for the newest; a version that a client calls "0" does not exist.
  ASSIGN_OR_RETURN(Snapshot snapshot, table.Find(name, number.value_or(0)));
  if (number == 0) {
    return WithField(
        WithReason(absl::NotFoundError(absl::StrCat("model '", name, "' has no version 0; the newest is ",
                                                    snapshot.model->version)),
                   "MODEL_VERSION_NOT_FOUND"),
        "model_version");
  }
  if (!label.empty()) return UnknownLabel(name, label);
  return snapshot;
}

}  // namespace calserve::kserve
