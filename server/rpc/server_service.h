#ifndef CALSERVE_SERVER_RPC_SERVER_SERVICE_H_
#define CALSERVE_SERVER_RPC_SERVER_SERVICE_H_

#include "calserve/v1/server.grpc.pb.h"
#include "server/rpc/access_gate.h"
#include "server/rpc/call_tracker.h"

namespace calserve {

// calserve.v1.ServerService: the level of the process's log.
class ServerService final
    : public v1::ServerService::WithRawCallbackMethod_GetLogLevel<
          v1::ServerService::WithRawCallbackMethod_SetLogLevel<v1::ServerService::Service>> {
 public:
  // Both outlive the service.
  ServerService(const AccessGate& gate, CallTracker& calls) : gate_(gate), calls_(calls) {}

  grpc::ServerUnaryReactor* GetLogLevel(grpc::CallbackServerContext* context, const grpc::ByteBuffer* bytes,
                                        grpc::ByteBuffer* answer) override;
  grpc::ServerUnaryReactor* SetLogLevel(grpc::CallbackServerContext* context, const grpc::ByteBuffer* bytes,
                                        grpc::ByteBuffer* answer) override;

 private:
  const AccessGate& gate_;
  CallTracker& calls_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_SERVER_SERVICE_H_
