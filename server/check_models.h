#ifndef CALSERVE_SERVER_CHECK_MODELS_H_
#define CALSERVE_SERVER_CHECK_MODELS_H_

#include <ostream>

#include "server/config/server_config.h"

namespace calserve {

// calserve-server --check DIRECTORY: reads a model directory, or a repository of them, loads and warms every
// version that is there (or, of a version's folder, that one), runs its samples, and says everything that is
// wrong, a line each, to `problems`; what was checked, to `out`. Serves nothing. Returns the exit code: 0,
// 3 if something is wrong, 6 if a device was lost by it.
int CheckModels(const ServerConfig& config, std::ostream& out, std::ostream& problems);

}  // namespace calserve

#endif  // CALSERVE_SERVER_CHECK_MODELS_H_
