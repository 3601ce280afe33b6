#include "server/prediction/class_names.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace calserve {

void ClassNames::Remember(const std::string& model, const std::string& digest,
                          const std::vector<std::string>& labels) {
  absl::flat_hash_map<std::string, int32_t> indices;
  for (size_t i = 0; i < labels.size(); ++i) indices.emplace(labels[i], static_cast<int32_t>(i));
  MutexLock lock(&mu_);
  const auto [known, is_new] = known_.emplace(Key{model, digest}, std::move(indices));
  if (!is_new) return;
  oldest_.push_back(known->first);
  if (oldest_.size() <= kMaxRemembered) return;
  known_.erase(oldest_.front());
  oldest_.pop_front();
}

absl::StatusOr<int32_t> ClassNames::Find(const std::string& model, const std::string& digest,
                                         const std::string& label) const {
  MutexLock lock(&mu_);
  const auto known = known_.find(Key{model, digest});
  if (known == known_.end()) {
    return absl::NotFoundError(
        absl::StrCat("the class names of model ", model,
                     " as it was at the prediction are not known to this server: its weights or labels.txt "
                     "changed since; give the index of the true class"));
  }
  const auto index = known->second.find(label);
  if (index != known->second.end()) return index->second;
  return absl::NotFoundError(absl::StrCat("model ", model, " has no class named \"", label, "\""));
}

}  // namespace calserve
