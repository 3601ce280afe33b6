#ifndef CALSERVE_SERVER_MODEL_LOADING_THREAD_H_
#define CALSERVE_SERVER_MODEL_LOADING_THREAD_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/model/loaded_version.h"

namespace calserve {

struct LoadingOptions {
  LoadMoment moment;  // while serving, at the lowest priority
  // After each `remind_every`, for as long as the load takes; on the thread that waits.
  std::function<void(absl::Duration so_far)> still_loading = [](absl::Duration) {};
  absl::Duration remind_every = absl::Minutes(1);
};

// Loads on a thread that has ended when this returns: what LibTorch keeps for each thread that has called it
// is gone then. What the loader throws is INTERNAL; RESOURCE_EXHAUSTED where there is no thread to be had.
absl::StatusOr<std::unique_ptr<LoadedVersion>> LoadOnThreadThatEnds(const VersionLoader& load,
                                                                    int64_t version,
                                                                    const LoadingOptions& options);

}  // namespace calserve

#endif  // CALSERVE_SERVER_MODEL_LOADING_THREAD_H_
