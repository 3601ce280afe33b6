#ifndef CALSERVE_SERVER_RPC_FIT_STREAM_H_
#define CALSERVE_SERVER_RPC_FIT_STREAM_H_

#include "server/rpc/calibration_service.h"

namespace calserve {

// The reactor of one FitCalibrator call; deletes itself. Reads the specification and, for an uploaded set,
// the examples (what is an image or a tensor goes through the model first); then writes the newest progress
// whenever the client has taken the one before, and the result. When a drain begins, a fit that runs goes on;
// a stream that has not come to that ends.
ByteStream* NewFitStream(const CalibrationBackends& backends, Admission admission,
                         const grpc::CallbackServerContext& context);

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_FIT_STREAM_H_
