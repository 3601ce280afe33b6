#ifndef CALSERVE_SERVER_MODEL_MODEL_VERSIONS_H_
#define CALSERVE_SERVER_MODEL_MODEL_VERSIONS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "server/model/model_repository.h"

namespace calserve {

// The versions of one model, as they are loaded: follows the plan. For one thread.
class ModelVersions final {
 public:
  // `hooks` outlive it. `most_looks`: from one attempt at what failed not by its own fault to the next.
  ModelVersions(std::string name, const RepositoryHooks& hooks, int most_looks)
      : name_(std::move(name)), hooks_(hooks), most_looks_(most_looks) {}

  // What the directory holds now. Where there is something wrong with it as a whole, only that is noted.
  void Show(ListedModel listed);
  // From now on the plan is followed. What failed may be tried again: all of it if `retry`, else what was not
  // the version's fault, after one call of this, then 2, 4 and so on to most_looks while it fails as it is.
  void Activate(bool retry);
  // Withdraws everything, because the model was unloaded or its directory is gone.
  void Deactivate();

  // Retires and routes as planned; returns the version to load now, if any.
  std::optional<int64_t> Advance();
  // That version is LOADING until Finish, which takes what the loader gave for it.
  VersionLoader Begin(int64_t version);
  // Publishes what was loaded, or remembers why it was not.
  void Finish(int64_t version, absl::StatusOr<std::unique_ptr<LoadedVersion>> loaded);

  // Instead: the load was given up, which is nobody's fault.
  void GiveUp() { loading_.reset(); }

  // Destroys what was retired and is idle.
  void DestroyIdle();
  // Ends the threads of every version.
  void Stop();

  bool active() const { return active_; }
  // The last Finish was given something that cannot serve.
  bool last_load_failed() const { return last_load_failed_; }
  // Retired, and not yet destroyed.
  bool holds_retired() const { return !retired_.empty(); }
  // The reason of the newest wanted version that is not READY as it is on disk; OK if there is none.
  absl::Status Complete() const;
  ModelStatus Status() const;
  // The status of versions whose state or reason is another than at the last call goes to hooks.told.
  void Tell();

 private:
  struct Retired {
    int64_t version = 0;
    std::unique_ptr<LoadedVersion> loaded;
  };

  // That failed one after the other.
  struct Attempts {
    std::string fingerprint;
    int failed = 0;
  };

  // The looks until the next attempt at what has failed just now, and not by its own fault.
  int LooksUntilRetry(int64_t version, const std::string& fingerprint);
  std::set<int64_t> Wanted() const;
  VersionStatus StatusOf(int64_t version) const;
  // What is wrong with it, loaded before or not; empty if nothing is.
  std::string Fault(int64_t version) const;
  // Why one that nothing is wrong with is not loaded.
  std::string WhyUnavailable(int64_t version) const;
  void Retire(int64_t version);

  const std::string name_;
  const RepositoryHooks& hooks_;
  const int most_looks_;
  ListedModel listed_;    // the last one with nothing wrong
  absl::Status problem_;  // with what the directory holds now
  bool active_ = false;
  bool last_load_failed_ = false;
  HeldVersions held_;
  VersionRouting routing_;  // as the last plan had it
  std::map<int64_t, std::unique_ptr<LoadedVersion>> ready_;
  std::vector<Retired> retired_;
  std::optional<int64_t> loading_;
  std::string loading_fingerprint_;
  std::map<int64_t, Attempts> attempts_;  // of versions that failed, and not by their own fault
  std::map<int64_t, VersionStatus> told_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MODEL_MODEL_VERSIONS_H_
