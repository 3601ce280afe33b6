#ifndef CALSERVE_SERVER_TRIAL_H_
#define CALSERVE_SERVER_TRIAL_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "server/config/model_config.h"
#include "server/config/server_config.h"

namespace calserve {

// Whether a version can be loaded without harm: a process of its own, this program with the arguments that it
// was started with and `--trial PID --check FOLDER`, loads and warms it before the server does. OK where that
// process lives to the end of it, whatever it found: the load finds that too. INTERNAL where it ended before,
// or took longer than repository.trial_timeout. `still_wanted` is asked all the while, every 20 ms: once it
// is not OK the trial is given up, with its status. Where there can be no trial the log says so, and it is
// OK. Thread-safe.
absl::Status TryVersion(const ServerConfig& config, const ModelConfig& model, int64_t version,
                        const std::function<absl::Status()>& still_wanted);

// That process: --check, and word of it for the server that waits. It ends with the thread that does. Returns
// the exit code.
int RunTrial(const ServerConfig& config);

}  // namespace calserve

#endif  // CALSERVE_SERVER_TRIAL_H_
