#include "server/model/model_versions.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"

namespace calserve {
namespace {

constexpr int kMostDoublings = 30;

// The store was busy, there was no thread to be had, or no room to unpack it.
bool IsTransient(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

void ModelVersions::Show(ListedModel listed) {
  if (!listed.problem.ok() && listed.problem.message() != problem_.message()) {
    hooks_.look_failed(
        absl::Status(listed.problem.code(),
                     absl::StrCat("model '", name_, "' stays as it is: ", listed.problem.message())));
  }
  problem_ = listed.problem;
  if (!problem_.ok()) return;
  listed_ = std::move(listed);
  std::erase_if(attempts_, [this](const auto& of) { return listed_.versions.count(of.first) == 0; });
  listed_.adopt();
}

void ModelVersions::Activate(bool retry) {
  active_ = true;
  for (auto failed = held_.failed.begin(); failed != held_.failed.end();) {
    int& looks = failed->second.looks_until_retry;
    const bool again = retry || (looks > 0 && --looks == 0);
    failed = again ? held_.failed.erase(failed) : std::next(failed);
  }
}

void ModelVersions::Deactivate() {
  active_ = false;
  while (!ready_.empty()) Retire(ready_.begin()->first);
  held_ = {};
  attempts_.clear();
  routing_ = {};
}

std::optional<int64_t> ModelVersions::Advance() {
  if (!active_) return std::nullopt;
  ModelPlan plan = PlanModel(listed_, held_);
  // Labels move away from a version before it goes.
  if (!ready_.empty() && plan.routing != routing_) {
    hooks_.route(name_, plan.routing);
    held_.labels = plan.routing.labels;
    routing_ = std::move(plan.routing);
  }
  for (const int64_t version : plan.retire) Retire(version);
  return plan.load.empty() ? std::nullopt : std::optional<int64_t>(plan.load.front());
}

VersionLoader ModelVersions::Begin(int64_t version) {
  loading_ = version;
  loading_fingerprint_ = listed_.versions[version].fingerprint;
  return listed_.load;
}

void ModelVersions::Finish(int64_t version, absl::StatusOr<std::unique_ptr<LoadedVersion>> loaded) {
  loading_.reset();
  absl::Status status = loaded.status();
  if (status.ok()) status = (*loaded)->Publish();
  last_load_failed_ = !status.ok();
  if (!status.ok()) {
    const int looks = IsTransient(status) ? LooksUntilRetry(version, loading_fingerprint_) : 0;
    held_.failed[version] = {std::move(loading_fingerprint_), std::string(status.message()), looks};
    return;
  }
  std::unique_ptr<LoadedVersion>& slot = ready_[version];
  if (slot != nullptr) retired_.push_back({version, std::move(slot)});
  slot = *std::move(loaded);
  held_.ready[version] = std::move(loading_fingerprint_);
  held_.failed.erase(version);
  attempts_.erase(version);
}

int ModelVersions::LooksUntilRetry(int64_t version, const std::string& fingerprint) {
  Attempts& attempts = attempts_[version];
  if (attempts.fingerprint != fingerprint) attempts = {fingerprint, 0};
  attempts.failed = std::min(attempts.failed + 1, kMostDoublings + 1);
  return std::min(1 << (attempts.failed - 1), most_looks_);
}

void ModelVersions::Retire(int64_t version) {
  auto node = ready_.extract(version);
  node.mapped()->Withdraw();
  retired_.push_back({version, std::move(node.mapped())});
  held_.ready.erase(version);
}

void ModelVersions::DestroyIdle() {
  std::erase_if(retired_, [](const Retired& retired) { return retired.loaded->idle(); });
}

void ModelVersions::Stop() {
  for (auto& [version, loaded] : ready_) loaded->Stop();
  for (Retired& retired : retired_) retired.loaded->Stop();
}

std::set<int64_t> ModelVersions::Wanted() const {
  std::vector<int64_t> found;
  for (const auto& [version, listed] : listed_.versions) found.push_back(version);
  return WantedVersions(listed_.policy, listed_.routing, found);
}

absl::Status ModelVersions::Complete() const {
  const auto not_ready = [this](absl::string_view what) {
    return absl::FailedPreconditionError(absl::StrCat("model '", name_, "'", what));
  };
  if (!problem_.ok()) return not_ready(absl::StrCat(": ", problem_.message()));
  const std::set<int64_t> wanted = Wanted();
  for (auto version = wanted.rbegin(); version != wanted.rend(); ++version) {
    const VersionStatus status = StatusOf(*version);
    if (status.state == VersionState::kReady && status.reason.empty()) continue;
    return not_ready(absl::StrCat(" version ", *version, ": ", status.reason));
  }
  return absl::OkStatus();
}

std::string ModelVersions::Fault(int64_t version) const {
  const auto listed = listed_.versions.find(version);
  if (listed == listed_.versions.end()) {
    const bool missing = held_.ready.count(version) > 0 || Wanted().count(version) > 0;
    return missing ? absl::StrCat("there is no folder ", version) : "";
  }
  if (!listed->second.problem.ok()) return std::string(listed->second.problem.message());
  const auto failed = held_.failed.find(version);
  // Files that are as they were before the attempt that failed are not at fault.
  const bool tried = failed != held_.failed.end() && failed->second.fingerprint == listed->second.fingerprint;
  return tried ? failed->second.reason : "";
}

std::string ModelVersions::WhyUnavailable(int64_t version) const {
  if (!active_) return "not loaded";
  if (Wanted().count(version) == 0)
    return absl::StrCat("not asked for (versions: ", listed_.policy.ToText(), ")");
  if (!listed_.versions.at(version).settled) return "its files changed since the last look";
  return "waits to be loaded";
}

VersionStatus ModelVersions::StatusOf(int64_t version) const {
  VersionStatus status{.version = version};
  const std::string fault = Fault(version);
  status.failed = !fault.empty();
  status.wanted = active_ && Wanted().count(version) > 0;
  if (held_.ready.count(version) > 0) {
    status.state = VersionState::kReady;
    if (status.failed) status.reason = absl::StrCat("still as loaded before: ", fault);
  } else if (loading_ == version) {
    status.state = VersionState::kLoading;
  } else if (absl::c_any_of(retired_, [&](const Retired& r) { return r.version == version; })) {
    status.state = VersionState::kUnloading;
  } else {
    status.reason = status.failed ? fault : WhyUnavailable(version);
  }
  for (const auto& [label, target] : held_.labels) {
    if (target == version) status.labels.push_back(label);
  }
  return status;
}

ModelStatus ModelVersions::Status() const {
  std::set<int64_t> known = Wanted();
  for (const auto& [version, listed] : listed_.versions) known.insert(version);
  for (const auto& [version, loaded] : ready_) known.insert(version);
  for (const Retired& retired : retired_) known.insert(retired.version);
  ModelStatus status{
      name_, std::string(problem_.message()), {}, listed_.routing.traffic, listed_.routing.labels};
  for (auto version = known.rbegin(); version != known.rend(); ++version) {
    status.versions.push_back(StatusOf(*version));
  }
  return status;
}

void ModelVersions::Tell() {
  std::map<int64_t, VersionStatus> now;
  for (VersionStatus& status : Status().versions) now.emplace(status.version, std::move(status));
  for (const auto& [version, status] : now) {
    const auto before = told_.find(version);
    if (before == told_.end() || before->second != status) hooks_.told(name_, status);
  }
  told_ = std::move(now);
}

}  // namespace calserve
