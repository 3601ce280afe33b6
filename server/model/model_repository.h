#ifndef CALSERVE_SERVER_MODEL_MODEL_REPOSITORY_H_
#define CALSERVE_SERVER_MODEL_MODEL_REPOSITORY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/model/repository_plan.h"

namespace calserve {

struct RepositoryOptions {
  std::string control = "none";                     // none | poll | explicit
  absl::Duration poll_interval = absl::Seconds(5);  // between two looks at the directory, with poll
  std::vector<std::string> load;                    // models loaded at start, with explicit
  // For the loader. never | serving | always: which versions another process loads first.
  std::string trial = "serving";
  absl::Duration trial_timeout = absl::Minutes(30);  // at the lowest priority a second of work may take one
};

enum class VersionState { kUnavailable, kLoading, kReady, kUnloading };
absl::string_view StateName(VersionState state);  // "READY"

struct VersionStatus {
  int64_t version = 0;
  VersionState state = VersionState::kUnavailable;
  // Why it is not READY; of a READY one, why a newer state of its files is not what serves.
  std::string reason;
  bool failed = false;              // the reason is a fault, not a choice
  bool wanted = false;              // not chosen to be left out, nor unloaded
  std::vector<std::string> labels;  // that point to it now, sorted
  friend bool operator==(const VersionStatus&, const VersionStatus&) = default;
};
// The name of its state, or "FAILED" where a fault keeps it from being loaded.
std::string StateText(const VersionStatus& status);

struct ModelStatus {
  std::string name;
  std::string reason;                   // what is wrong with its directory as a whole: what serves is older
  std::vector<VersionStatus> versions;  // the newest first; of folders on disk, and those that still serve
  std::vector<VersionRouting::Share> traffic;
  std::map<std::string, int64_t> labels;  // the version that each is for, ready or not
  friend bool operator==(const ModelStatus&, const ModelStatus&) = default;
};

// What the repository works on, connected by main.cc. Called from the repository's own thread.
struct RepositoryHooks {
  // Reads the directory, without loading anything.
  std::function<absl::StatusOr<Listing>()> list;
  // Labels and traffic of a model changed; called after what they point to was published.
  std::function<void(const std::string& model, const VersionRouting& routing)> route;
  // The state, the reason or the labels of a version changed; to be logged.
  std::function<void(const std::string& model, const VersionStatus& status)> told;
  // A load takes long, and holds up all others; to be logged.
  std::function<void(const std::string& model, int64_t version, absl::Duration so_far)> still_loading;
  // The directory, or that of one model, cannot be read, or something else is wrong with it than before; to
  // be logged.
  std::function<void(const absl::Status& problem)> look_failed;
};

// Keeps the versions that are wanted loaded: the directory and model.yaml say which. A version is loaded,
// warmed and checked on a thread of the lowest priority that ends with it, one at a time, then published in
// place of what it replaces; what is not wanted any more is withdrawn and destroyed once its last request is
// answered. What fails to load leaves the old one serving. Thread-safe.
//   none      what is wanted at start, nothing after
//   poll      looks at the directory every poll_interval; what two looks in a row show alike is acted upon
//   explicit  models are loaded (in the state of that moment) and unloaded by call
class ModelRepository {
 public:
  // Called exactly once, from the repository's thread or, when it is refused at once, from the caller's.
  using Done = absl::AnyInvocable<void(absl::Status) &&>;

  // Begins to load what is wanted at start and returns; `started` is told when that is done. NOT_FOUND where
  // the directory cannot be read. With none and explicit a wanted version that cannot be loaded is the error,
  // naming it; with poll it is a status like any other. StopLoading ends the start before its next load.
  static std::unique_ptr<ModelRepository> Start(const RepositoryOptions& options, RepositoryHooks hooks,
                                                Done started);
  // Ends after the load under way. Requests must have ended: Stop first.
  virtual ~ModelRepository() = default;

  // Load and Unload do something: the control is explicit.
  virtual bool takes_calls() const = 0;

  // Every model of the directory, by name: as it was at the last look, Load or Unload. Never waits.
  virtual std::vector<ModelStatus> List() const = 0;

  // FAILED_PRECONDITION unless the control is explicit; NOT_FOUND for a model that has no directory.
  // Load reads the directory again and is done when every wanted version is READY, or with the reason of the
  // newest that is not (FAILED_PRECONDITION; what served before serves on). Unload is done when no new
  // request gets the model; those under way are answered.
  virtual void Load(const std::string& model, Done done) = 0;
  virtual void Unload(const std::string& model, Done done) = 0;

  // Answers every Load and Unload that is not done, and all that come later, UNAVAILABLE, asks the load under
  // way to stop (LoadMoment) and begins no other; versions serve on. Never waits. At the beginning of a
  // drain.
  virtual void StopLoading() = 0;
  // StopLoading, waits for the load under way (LibTorch itself cannot be asked to give up), then stops every
  // version: what is queued there is answered UNAVAILABLE. At shutdown, when no new request comes. False
  // where the load takes longer than `timeout`: no version is stopped then, and nothing that it uses may go.
  virtual bool Stop(absl::Duration timeout) = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MODEL_MODEL_REPOSITORY_H_
