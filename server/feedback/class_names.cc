#include "server/feedback/class_names.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "server/base/status_macros.h"

namespace calserve {
namespace {

constexpr size_t kMaxRemembered = 64;  // versions; beyond it they are read again
constexpr int32_t kSchemaVersion = 1;

std::string RowName(const std::string& model, const std::string& digest) {
  return absl::StrCat("class_names/", model, "/", digest);
}

}  // namespace

absl::Status ClassNames::Keep(const std::string& model, const std::string& digest,
                              const std::vector<std::string>& labels) {
  // A class name has no line break.
  return store_.SaveCheckpoint(RowName(model, digest),
                               {.schema_version = kSchemaVersion, .state = absl::StrJoin(labels, "\n")}, {});
}

absl::StatusOr<int32_t> ClassNames::Find(const std::string& model, const std::string& digest,
                                         const std::string& label) {
  ASSIGN_OR_RETURN(const std::shared_ptr<const Indices> indices, Of({model, digest}));
  if (indices == nullptr) {
    return absl::NotFoundError(absl::StrCat(
        "what the classes of model ", model,
        " were called when the prediction was made is not known here; give the index of the true "
        "class"));
  }
  const auto index = indices->find(label);
  if (index != indices->end()) return index->second;
  return absl::NotFoundError(absl::StrCat("model ", model, " has no class named \"", label, "\""));
}

absl::StatusOr<std::shared_ptr<const ClassNames::Indices>> ClassNames::Of(const Key& key) {
  {
    MutexLock lock(&mu_);
    if (const auto known = remembered_.find(key); known != remembered_.end()) return known->second;
  }
  ASSIGN_OR_RETURN(const std::optional<Checkpoint> kept,
                   store_.LoadCheckpoint(RowName(key.first, key.second)));
  if (!kept.has_value()) return std::shared_ptr<const Indices>();
  auto indices = std::make_shared<Indices>();
  for (const absl::string_view name : absl::StrSplit(kept->state, '\n')) {
    indices->emplace(std::string(name), static_cast<int32_t>(indices->size()));
  }
  MutexLock lock(&mu_);
  if (remembered_.size() >= kMaxRemembered) remembered_.clear();
  return remembered_[key] = std::move(indices);
}

}  // namespace calserve
