#ifndef CALSERVE_SERVER_TRIAL_H_
#define CALSERVE_SERVER_TRIAL_H_

#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "server/config/server_config.h"

namespace calserve {

// Whether `version_folder` can be loaded without harm: a process of its own, this program with the arguments
// that it was started with and `--trial --check FOLDER`, loads and warms the version before the server does.
// OK where that process lives to say what it found, be it a fault: the load finds that too. INTERNAL where it
// was ended, or took longer than repository.trial_timeout; UNAVAILABLE once `stop` is requested. Where there
// can be no trial the log says so, and it is OK. Thread-safe.
absl::Status TryVersion(const ServerConfig& config, const std::string& version_folder,
                        const std::stop_token& stop);

// For that process, before it loads anything: it ends with the thread that waits for it, and is the first to
// be ended where memory is short.
void BecomeTrial();

}  // namespace calserve

#endif  // CALSERVE_SERVER_TRIAL_H_
