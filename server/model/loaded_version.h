#ifndef CALSERVE_SERVER_MODEL_LOADED_VERSION_H_
#define CALSERVE_SERVER_MODEL_LOADED_VERSION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace calserve {

// One version, loaded and warmed. Used by one thread, the repository's; destroyed once it is idle.
class LoadedVersion {
 public:
  virtual ~LoadedVersion() = default;

  // Starts its threads and answers requests from now on, together with its calibrator, in place of what was
  // published of this version. What fails leaves everything as it was.
  virtual absl::Status Publish() = 0;
  // Gets no new request.
  virtual void Withdraw() = 0;
  // No request has it; asked after Withdraw or after another one took its place.
  virtual bool idle() const = 0;
  // Ends its threads, answering what is queued (UNAVAILABLE): at shutdown.
  virtual void Stop() = 0;
};

// When a version is loaded.
struct LoadMoment {
  bool serving = false;  // The server serves already.
  std::stop_token stop;  // It is to stop: what can be given up is.
};

// Reads the files, loads, warms and checks. Touches nothing that serves.
using VersionLoader =
    std::function<absl::StatusOr<std::unique_ptr<LoadedVersion>>(int64_t version, const LoadMoment& moment)>;

}  // namespace calserve

#endif  // CALSERVE_SERVER_MODEL_LOADED_VERSION_H_
