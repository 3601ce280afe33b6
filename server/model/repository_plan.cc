#include "server/model/repository_plan.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"

namespace calserve {
namespace {

std::set<int64_t> Numbers(const ListedModel& model) {
  std::set<int64_t> numbers;
  for (const auto& [version, listed] : model.versions) numbers.insert(version);
  return numbers;
}

// Whether an attempt at what is listed cannot give anything new.
bool HasFailed(const ListedVersion& listed, int64_t version, const HeldVersions& held) {
  if (!listed.problem.ok()) return true;
  const auto failed = held.failed.find(version);
  return failed != held.failed.end() && failed->second.fingerprint == listed.fingerprint;
}

// By the policy, and those before them that must stand in for wanted ones that failed.
std::set<int64_t> Wanted(const ListedModel& listed, const HeldVersions& held) {
  std::vector<int64_t> found, usable;
  for (const auto& [version, folder] : listed.versions) {
    found.push_back(version);
    if (!HasFailed(folder, version, held) || held.ready.count(version) > 0) usable.push_back(version);
  }
  std::set<int64_t> wanted = WantedVersions(listed.policy, listed.routing, found);
  wanted.merge(WantedVersions(listed.policy, listed.routing, usable));
  return wanted;
}

std::vector<int64_t> ToLoad(const ListedModel& listed, const std::set<int64_t>& wanted,
                            const HeldVersions& held) {
  std::vector<int64_t> missing, changed;
  for (auto version = wanted.rbegin(); version != wanted.rend(); ++version) {
    const auto found = listed.versions.find(*version);
    if (found == listed.versions.end() || !found->second.settled) continue;
    if (HasFailed(found->second, *version, held)) continue;
    const auto ready = held.ready.find(*version);
    if (ready == held.ready.end()) {
      missing.push_back(*version);
    } else if (ready->second != found->second.fingerprint) {
      changed.push_back(*version);
    }
  }
  missing.insert(missing.end(), changed.begin(), changed.end());
  return missing;
}

// A label moves when its new version is ready; until then it stays where it is.
VersionRouting RoutingNow(const VersionRouting& wanted, const HeldVersions& held) {
  VersionRouting routing;
  routing.traffic = wanted.traffic;
  for (const auto& [label, version] : wanted.labels) {
    const auto now = held.labels.find(label);
    if (held.ready.count(version) > 0) {
      routing.labels[label] = version;
    } else if (now != held.labels.end() && held.ready.count(now->second) > 0) {
      routing.labels[label] = now->second;
    }
  }
  return routing;
}

}  // namespace

Listing Settle(const Listing& before, Listing now) {
  for (auto& [name, model] : now) {
    const auto earlier = before.find(name);
    if (earlier == before.end()) {
      model.settled = false;
      continue;
    }
    model.settled = model.document == earlier->second.document && Numbers(model) == Numbers(earlier->second);
    for (auto& [version, listed] : model.versions) {
      const auto seen = earlier->second.versions.find(version);
      listed.settled =
          seen != earlier->second.versions.end() && seen->second.fingerprint == listed.fingerprint;
    }
  }
  for (const auto& [name, model] : before) {
    if (now.count(name) > 0) continue;
    ListedModel& gone = now[name] = model;
    gone.settled = false;
  }
  return now;
}

ModelPlan PlanModel(const ListedModel& listed, const HeldVersions& held) {
  const std::set<int64_t> wanted = Wanted(listed, held);
  ModelPlan plan;
  plan.load = ToLoad(listed, wanted, held);
  plan.routing = RoutingNow(listed.routing, held);

  const auto is_ready = [&](int64_t version) { return held.ready.count(version) > 0; };
  const bool none_is_ready = absl::c_none_of(wanted, is_ready);
  std::vector<int64_t> not_wanted;  // of those that are ready; the newest first
  for (const auto& [version, fingerprint] : held.ready) {
    if (wanted.count(version) == 0) not_wanted.insert(not_wanted.begin(), version);
  }
  int64_t standing_in = 0;
  for (const int64_t version : not_wanted) {
    // As many stand in as there are newer ones to stand in for: however many are rolled out while one never
    // gets ready, what is held stays bounded.
    const int64_t missing = std::count_if(wanted.upper_bound(version), wanted.end(),
                                          [&](int64_t newer) { return !is_ready(newer); });
    const bool stands_in = standing_in < missing;
    const bool labelled =
        absl::c_any_of(plan.routing.labels, [&](const auto& label) { return label.second == version; });
    if (stands_in) ++standing_in;
    if (!none_is_ready && !stands_in && !labelled) plan.retire.push_back(version);
  }
  std::sort(plan.retire.begin(), plan.retire.end());
  return plan;
}

}  // namespace calserve
