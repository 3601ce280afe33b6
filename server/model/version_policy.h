#ifndef CALSERVE_SERVER_MODEL_VERSION_POLICY_H_
#define CALSERVE_SERVER_MODEL_VERSION_POLICY_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/types/span.h"

namespace calserve {

// Which versions of a model are to be served.
struct VersionPolicy {
  enum class Kind { kLatest, kAll, kListed };
  Kind kind = Kind::kLatest;
  int latest = 1;               // kLatest: so many, the newest
  std::vector<int64_t> listed;  // kListed

  // "latest: 1", "all", "[1, 3]": as model.yaml says it.
  std::string ToText() const;
};

// Names that point to versions, and who answers a request that names neither version nor label.
struct VersionRouting {
  struct Share {
    std::string label;
    int weight = 0;  // >= 0; the share of requests is weight / sum of weights
    friend bool operator==(const Share&, const Share&) = default;
  };
  std::map<std::string, int64_t> labels;  // "stable" -> 3
  std::vector<Share> traffic;             // empty: the newest version answers
  friend bool operator==(const VersionRouting&, const VersionRouting&) = default;
};

// The versions that are wanted of those `found` on disk: the policy's, and those that a label points to,
// found or not. A listed version is wanted also where it is not found.
std::set<int64_t> WantedVersions(const VersionPolicy& policy, const VersionRouting& routing,
                                 absl::Span<const int64_t> found);

}  // namespace calserve

#endif  // CALSERVE_SERVER_MODEL_VERSION_POLICY_H_
