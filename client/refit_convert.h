#ifndef CALSERVE_CLIENT_REFIT_CONVERT_H_
#define CALSERVE_CLIENT_REFIT_CONVERT_H_

#include "calserve/v1/calibration.pb.h"
#include "client/types.h"

namespace calserve::client {

// A message to plain values. Cannot fail: what this client does not know is kUnknown.
RefitStatus FromProto(const v1::GetRefitStatusResponse& status);

}  // namespace calserve::client

#endif  // CALSERVE_CLIENT_REFIT_CONVERT_H_
