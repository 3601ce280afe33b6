#ifndef CALSERVE_SERVER_RPC_WATCH_STREAM_H_
#define CALSERVE_SERVER_RPC_WATCH_STREAM_H_

#include "server/rpc/calibration_service.h"

namespace calserve {

// The reactor of one WatchCalibration call; deletes itself. At most one response is being written, and what
// changes meanwhile is read afresh afterwards: a slow client costs one message. What must wait for the store
// runs on `store_thread`.
grpc::ServerWriteReactor<grpc::ByteBuffer>* NewWatchStream(const CalibrationBackends& backends,
                                                           Admission admission,
                                                           const grpc::ByteBuffer& request,
                                                           WorkerPool& store_thread);

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_WATCH_STREAM_H_
