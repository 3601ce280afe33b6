#include "server/prediction/serving_table.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/error_info.h"

namespace calserve {

void ServingTable::Publish(std::shared_ptr<const ServedModel> model,
                           std::shared_ptr<const ServedCalibrator> calibrator) {
  Snapshot replaced;  // Destroyed after the lock is released: a model may take long to go.
  MutexLock lock(&mu_);
  Snapshot& slot = models_[model->name][model->version];
  replaced = std::move(slot);
  slot = Snapshot{std::move(model), std::move(calibrator)};
}

bool ServingTable::SetCalibrator(const std::string& name, int64_t version,
                                 std::shared_ptr<const ServedCalibrator> calibrator) {
  MutexLock lock(&mu_);
  const auto model = models_.find(name);
  if (model == models_.end()) return false;
  const auto slot = model->second.find(version);
  if (slot == model->second.end()) return false;
  slot->second.calibrator = std::move(calibrator);
  return true;
}

absl::StatusOr<Snapshot> ServingTable::Find(const std::string& name, int64_t version) const {
  MutexLock lock(&mu_);
  const auto model = models_.find(name);
  if (model == models_.end()) {
    return WithField(
        WithReason(absl::NotFoundError(absl::StrCat("unknown model '", name, "'; there is: ", Known())),
                   "MODEL_NOT_FOUND"),
        "model");
  }
  if (version == 0) return model->second.begin()->second;
  const auto slot = model->second.find(version);
  if (slot == model->second.end()) {
    return WithField(WithReason(absl::NotFoundError(absl::StrCat("model '", name, "' has no version ",
                                                                 version, "; there is: ", Known())),
                                "MODEL_VERSION_NOT_FOUND"),
                     "model_version");
  }
  return slot->second;
}

std::vector<Snapshot> ServingTable::List() const {
  MutexLock lock(&mu_);
  std::vector<Snapshot> list;
  for (const auto& [name, versions] : models_) {
    for (const auto& [version, snapshot] : versions) list.push_back(snapshot);
  }
  return list;
}

std::string ServingTable::Known() const {
  constexpr size_t kMaxListed = 20;
  std::vector<std::string> known;
  for (const auto& [name, versions] : models_) {
    if (known.size() == kMaxListed) {
      known.push_back("…");
      break;
    }
    known.push_back(absl::StrCat(
        name, " (version ",
        absl::StrJoin(versions, ", ", [](std::string* out, const auto& v) { absl::StrAppend(out, v.first); }),
        ")"));
  }
  return known.empty() ? "no model" : absl::StrJoin(known, "; ");
}

}  // namespace calserve
