#ifndef CALSERVE_CLIENT_CALIBRATION_WATCH_H_
#define CALSERVE_CLIENT_CALIBRATION_WATCH_H_

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "client/types.h"

namespace calserve::client {

// The live reports of one model's windows. Next is for one thread, Cancel for any. Resumed as the client's
// RetryOptions say when the connection breaks. Destruction cancels; no Next may be under way.
class CalibrationWatch {
 public:
  virtual ~CalibrationWatch() = default;
  // Waits for the next reports, one a window that has changed: the newest, not every one. Has no deadline, a
  // quiet model has nothing to report; Cancel ends it. nullopt after Cancel.
  virtual absl::StatusOr<std::optional<std::vector<WindowReport>>> Next() = 0;
  virtual void Cancel() = 0;
};

}  // namespace calserve::client

#endif  // CALSERVE_CLIENT_CALIBRATION_WATCH_H_
