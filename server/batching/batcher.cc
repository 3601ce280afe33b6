#include "server/batching/batcher.h"

#include <memory>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/batching/check_options.h"
#include "server/batching/instance_batcher.h"

namespace calserve {

absl::StatusOr<std::unique_ptr<Batcher>> Batcher::Create(const BatchingOptions& options, BatchRunner runner,
                                                         MonotonicClock& clock) {
  RETURN_IF_ERROR(CheckOptions(options, runner));
  auto batcher = std::make_unique<InstanceBatcher>(options, std::move(runner), clock);
  try {
    RETURN_IF_ERROR(batcher->StartThreads());
  } catch (const std::system_error& e) {
    return absl::ResourceExhaustedError(absl::StrCat("cannot start the batcher's threads: ", e.what()));
  }
  return batcher;
}

}  // namespace calserve
