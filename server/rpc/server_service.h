#ifndef CALSERVE_SERVER_RPC_SERVER_SERVICE_H_
#define CALSERVE_SERVER_RPC_SERVER_SERVICE_H_

#include "calserve/v1/server.grpc.pb.h"
#include "server/rpc/access_gate.h"
#include "server/rpc/call_tracker.h"

namespace calserve {

// calserve.v1.ServerService: the level of the process's log.
class ServerService final : public v1::ServerService::CallbackService {
 public:
  // Both outlive the service.
  ServerService(const AccessGate& gate, CallTracker& calls) : gate_(gate), calls_(calls) {}

  grpc::ServerUnaryReactor* GetLogLevel(grpc::CallbackServerContext* context,
                                        const v1::GetLogLevelRequest* request,
                                        v1::GetLogLevelResponse* response) override;
  grpc::ServerUnaryReactor* SetLogLevel(grpc::CallbackServerContext* context,
                                        const v1::SetLogLevelRequest* request,
                                        v1::SetLogLevelResponse* response) override;

 private:
  const AccessGate& gate_;
  CallTracker& calls_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_SERVER_SERVICE_H_
