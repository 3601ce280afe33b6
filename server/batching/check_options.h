#ifndef CALSERVE_SERVER_BATCHING_CHECK_OPTIONS_H_
#define CALSERVE_SERVER_BATCHING_CHECK_OPTIONS_H_

#include "absl/status/status.h"
#include "server/batching/batcher.h"

namespace calserve {

// INVALID_ARGUMENT, naming the first option that no batcher of this model could keep to.
absl::Status CheckOptions(const BatchingOptions& options, const BatchRunner& runner);

}  // namespace calserve

#endif  // CALSERVE_SERVER_BATCHING_CHECK_OPTIONS_H_
