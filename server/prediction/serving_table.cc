#include "server/prediction/serving_table.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/error_info.h"
#include "server/prediction/traffic_split.h"

namespace calserve {
namespace {

absl::Status CheckChoice(const VersionChoice& choice) {
  if (choice.version != 0 && !choice.label.empty()) {
    return WithField(absl::InvalidArgumentError(
                         absl::StrCat("a request may name a version or a label, not both; named version ",
                                      choice.version, " and label '", choice.label, "'")),
                     "version_label");
  }
  if (choice.routing_key.size() > VersionChoice::kMaxRoutingKey) {
    return WithField(
        absl::InvalidArgumentError(absl::StrCat("routing_key must be at most ", VersionChoice::kMaxRoutingKey,
                                                " bytes; was ", choice.routing_key.size())),
        "routing_key");
  }
  return absl::OkStatus();
}

absl::Status NotFound(absl::string_view sentence, absl::string_view reason, absl::string_view field) {
  return WithField(WithReason(absl::NotFoundError(sentence), reason), field);
}

}  // namespace

void ServingTable::Publish(std::shared_ptr<const ServedModel> model,
                           std::shared_ptr<const ServedCalibrator> calibrator) {
  Snapshot replaced;  // Destroyed after the lock is released: a model may take long to go.
  MutexLock lock(&mu_);
  Snapshot& slot = models_[model->name].versions[model->version];
  replaced = std::move(slot);
  std::shared_ptr<IssuedConfidences> issued = CounterOf(model->name, model->version, calibrator->version);
  slot = Snapshot{std::move(model), std::move(calibrator), std::move(issued)};
}

std::shared_ptr<IssuedConfidences> ServingTable::CounterOf(const std::string& name, int64_t version,
                                                           int64_t calibrator_version) {
  std::shared_ptr<IssuedConfidences>& counter = issued_[{name, version, calibrator_version}];
  if (counter == nullptr) counter = std::make_shared<IssuedConfidences>();
  const std::shared_ptr<IssuedConfidences> found = counter;
  // Those that no snapshot holds make room, in the order of their names.
  for (auto it = issued_.begin(); issued_.size() > kMaxCounted && it != issued_.end();) {
    it = it->second.use_count() == 1 ? issued_.erase(it) : std::next(it);
  }
  return found;
}

ConfidenceSums ServingTable::Issued(const std::string& name, int64_t version,
                                    int64_t calibrator_version) const {
  MutexLock lock(&mu_);
  const auto found = issued_.find({name, version, calibrator_version});
  return found == issued_.end() ? ConfidenceSums() : found->second->sums();
}

bool ServingTable::SetCalibrator(const std::string& name, int64_t version,
                                 std::shared_ptr<const ServedCalibrator> calibrator) {
  MutexLock lock(&mu_);
  const auto model = models_.find(name);
  if (model == models_.end()) return false;
  const auto slot = model->second.versions.find(version);
  if (slot == model->second.versions.end()) return false;
  slot->second.issued = CounterOf(name, version, calibrator->version);
  slot->second.calibrator = std::move(calibrator);
  return true;
}

void ServingTable::SetRouting(const std::string& name, VersionRouting routing) {
  MutexLock lock(&mu_);
  const auto model = models_.find(name);
  if (model != models_.end()) model->second.routing = std::move(routing);
}

void ServingTable::Withdraw(const std::string& name, int64_t version) {
  Snapshot withdrawn;  // As in Publish.
  MutexLock lock(&mu_);
  const auto model = models_.find(name);
  if (model == models_.end()) return;
  const auto slot = model->second.versions.find(version);
  if (slot == model->second.versions.end()) return;
  withdrawn = std::move(slot->second);
  model->second.versions.erase(slot);
  if (model->second.versions.empty()) models_.erase(model);
}

absl::StatusOr<Snapshot> ServingTable::Find(const std::string& name, int64_t version) const {
  return Find(name, VersionChoice{version, {}, {}});
}

absl::StatusOr<Snapshot> ServingTable::Find(const std::string& name, const VersionChoice& choice) const {
  if (absl::Status valid = CheckChoice(choice); !valid.ok()) return valid;
  absl::StatusOr<Snapshot> found = FindPublished(name, choice);
  if (found.ok() || why_not_published_ == nullptr) return found;
  absl::Status why = why_not_published_(name, choice);
  return why.ok() ? found.status() : why;
}

absl::StatusOr<Snapshot> ServingTable::FindPublished(const std::string& name,
                                                     const VersionChoice& choice) const {
  MutexLock lock(&mu_);
  const auto model = models_.find(name);
  if (model == models_.end()) {
    return NotFound(absl::StrCat("unknown model '", name, "'; there is: ", Known()), "MODEL_NOT_FOUND",
                    "model");
  }
  const Entry& entry = model->second;
  if (!choice.label.empty()) {
    const Snapshot* const labelled = OfLabel(entry, std::string(choice.label));
    if (labelled != nullptr) return *labelled;
    return NotFound(absl::StrCat("model '", name, "' has no ready version with the label '", choice.label,
                                 "'; there is: ", Known()),
                    "VERSION_LABEL_NOT_FOUND", "version_label");
  }
  if (choice.version == 0) return Route(name, entry, choice.routing_key);
  const auto slot = entry.versions.find(choice.version);
  if (slot == entry.versions.end()) {
    return NotFound(
        absl::StrCat("model '", name, "' has no version ", choice.version, "; there is: ", Known()),
        "MODEL_VERSION_NOT_FOUND", "model_version");
  }
  return slot->second;
}

const Snapshot* ServingTable::OfLabel(const Entry& entry, const std::string& label) {
  const auto version = entry.routing.labels.find(label);
  if (version == entry.routing.labels.end()) return nullptr;
  const auto slot = entry.versions.find(version->second);
  return slot == entry.versions.end() ? nullptr : &slot->second;
}

const Snapshot& ServingTable::Route(const std::string& name, const Entry& entry,
                                    absl::string_view routing_key) {
  std::vector<const Snapshot*> shares;
  std::vector<int> weights;
  size_t main = 0;
  for (const VersionRouting::Share& share : entry.routing.traffic) {
    const Snapshot* const labelled = OfLabel(entry, share.label);
    if (labelled == nullptr || share.weight == 0) continue;
    shares.push_back(labelled);
    weights.push_back(share.weight);
    if (share.weight > weights[main]) main = shares.size() - 1;
  }
  if (shares.empty()) return entry.versions.begin()->second;
  if (routing_key.empty()) return *shares[main];
  return *shares[PickShare(weights, RoutingHash(name, routing_key))];
}

std::vector<Snapshot> ServingTable::List() const {
  MutexLock lock(&mu_);
  std::vector<Snapshot> list;
  for (const auto& [name, entry] : models_) {
    for (const auto& [version, snapshot] : entry.versions) list.push_back(snapshot);
  }
  return list;
}

std::string ServingTable::Known() const {
  constexpr size_t kMaxListed = 20;
  std::vector<std::string> known;
  for (const auto& [name, entry] : models_) {
    if (known.size() == kMaxListed) {
      known.push_back("…");
      break;
    }
    std::vector<std::string> versions;
    for (const auto& [version, snapshot] : entry.versions) {
      versions.push_back(absl::StrCat(version));
      for (const auto& [label, target] : entry.routing.labels) {
        if (target == version) absl::StrAppend(&versions.back(), " ", label);
      }
    }
    known.push_back(absl::StrCat(name, " (version ", absl::StrJoin(versions, ", "), ")"));
  }
  return known.empty() ? "no model" : absl::StrJoin(known, "; ");
}

}  // namespace calserve
