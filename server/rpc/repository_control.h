#ifndef CALSERVE_SERVER_RPC_REPOSITORY_CONTROL_H_
#define CALSERVE_SERVER_RPC_REPOSITORY_CONTROL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"

namespace calserve {

// The model repository as a client sees and changes it while the server runs. Thread-safe.
class RepositoryControl {
 public:
  struct Version {
    std::string model;
    int64_t version = 0;  // 0: of a model of which no version is known
    std::string state;   // LOADING, READY, UNLOADING or UNAVAILABLE, as Triton calls them
    std::string reason;  // why it is UNAVAILABLE
  };
  using Done = absl::AnyInvocable<void(absl::Status) &&>;

  virtual ~RepositoryControl() = default;

  // Every version that the repository knows of, by model name and version.
  virtual std::vector<Version> Index() const = 0;

  // Loads a model, or loads it again; done is called exactly once, from any thread, when its versions are
  // READY. NOT_FOUND for a name that is not in the repository; FAILED_PRECONDITION unless the server was
  // started with --repository-control explicit; the reason of a version that cannot be loaded, and the
  // versions before it serve on.
  virtual void Load(const std::string& model, Done done) = 0;
  // The same for taking a model out of service; its requests under way are answered.
  virtual void Unload(const std::string& model, Done done) = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_REPOSITORY_CONTROL_H_
