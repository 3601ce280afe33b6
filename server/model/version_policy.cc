#include "server/model/version_policy.h"

#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace calserve {

std::string VersionPolicy::ToText() const {
  switch (kind) {
    case Kind::kLatest:
      return absl::StrCat("latest: ", latest);
    case Kind::kAll:
      return "all";
    case Kind::kListed:
      return absl::StrCat("[", absl::StrJoin(listed, ", "), "]");
  }
  return "";
}

std::set<int64_t> WantedVersions(const VersionPolicy& policy, const VersionRouting& routing,
                                 absl::Span<const int64_t> found) {
  std::set<int64_t, std::greater<>> newest(found.begin(), found.end());
  std::set<int64_t> wanted;
  switch (policy.kind) {
    case VersionPolicy::Kind::kLatest:
      for (const int64_t version : newest) {
        if (static_cast<int>(wanted.size()) == policy.latest) break;
        wanted.insert(version);
      }
      break;
    case VersionPolicy::Kind::kAll:
      wanted.insert(found.begin(), found.end());
      break;
    case VersionPolicy::Kind::kListed:
      wanted.insert(policy.listed.begin(), policy.listed.end());
      break;
  }
  for (const auto& [label, version] : routing.labels) wanted.insert(version);
  return wanted;
}

}  // namespace calserve
