#ifndef CALSERVE_SERVER_MODEL_REPOSITORY_PLAN_H_
#define CALSERVE_SERVER_MODEL_REPOSITORY_PLAN_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/model/loaded_version.h"
#include "server/model/version_policy.h"

namespace calserve {

// The repository's decisions as pure functions: no clock, no files, no threads.

// A version as its folder shows it.
struct ListedVersion {
  std::string fingerprint;  // of its files and of the settings that it depends on: another one, another load
  absl::Status problem;     // why it cannot be loaded
  bool settled = true;      // see Settle
};

// A model as its directory shows it.
struct ListedModel {
  std::string document;  // all that was read of it but the versions' files, to tell a change
  absl::Status problem;  // with the model as a whole; then its versions stay as they are
  VersionPolicy policy;
  VersionRouting routing;
  std::map<int64_t, ListedVersion> versions;
  VersionLoader load;
  std::function<void()> adopt = [] {};  // settings that hold without a load; called once it is acted upon
  bool settled = true;
};
using Listing = std::map<std::string, ListedModel>;

// Marks what `now` shows otherwise than `before`, the look before it, as not settled: it may be half copied.
// A model whose document or set of version numbers differs waits as a whole, one that is gone stays for one
// look (not settled); a version whose files differ waits alone.
Listing Settle(const Listing& before, Listing now);

// What of a model is loaded.
struct HeldVersions {
  struct Failure {
    std::string fingerprint;  // that was tried
    std::string reason;
    // Not the version's fault: after so many looks at the directory it may be tried again as it is. 0: it
    // was.
    int looks_until_retry = 0;
  };
  std::map<int64_t, std::string> ready;   // version -> fingerprint that was loaded
  std::map<int64_t, Failure> failed;      // the last attempt, where it failed
  std::map<std::string, int64_t> labels;  // where labels point, each to a ready version
};

// What to do now; to be decided again after each load.
struct ModelPlan {
  std::vector<int64_t> load;    // in this order
  std::vector<int64_t> retire;  // no request needs them any more
  VersionRouting routing;       // labels point to ready versions only
};

// Wanted versions are loaded the newest first; then those that changed. One that failed is tried again only
// when its fingerprint is another; with `latest` the ones before it stand in for it. A version that is not
// wanted is kept while none of the wanted is ready, while a newer one that is wanted is not, and while a
// label waits on it for its new version to be ready.
ModelPlan PlanModel(const ListedModel& listed, const HeldVersions& held);

}  // namespace calserve

#endif  // CALSERVE_SERVER_MODEL_REPOSITORY_PLAN_H_
