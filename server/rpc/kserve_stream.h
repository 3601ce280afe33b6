#ifndef CALSERVE_SERVER_RPC_KSERVE_STREAM_H_
#define CALSERVE_SERVER_RPC_KSERVE_STREAM_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "inference/grpc_service.pb.h"
#include "server/rpc/access_gate.h"
#include "server/rpc/call_tracker.h"
#include "server/rpc/kserve_infer.h"
#include "server/rpc/wire_message.h"

namespace calserve::kserve {

// One ModelStreamInfer: every request is answered once, in the order of the requests. What is wrong with a
// request comes as error_message in its place, or, where the client's metadata has "triton_grpc_error: true",
// as the status that ends the stream. `inference` and `calls` outlive it; deletes itself.
ByteStream* NewStream(Inference& inference, CallTracker& calls, Admission admission,
                      const grpc::CallbackServerContext& context);

}  // namespace calserve::kserve

#endif  // CALSERVE_SERVER_RPC_KSERVE_STREAM_H_
