#ifndef CALSERVE_SERVER_RPC_GRPC_LOG_H_
#define CALSERVE_SERVER_RPC_GRPC_LOG_H_

namespace calserve {

// From here on what gRPC itself has to say is logged as the server's lines are, a few a second: it would
// write to standard error, a line for every handshake that fails. GRPC_VERBOSITY says from which severity on.
void RouteGrpcLog();

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_GRPC_LOG_H_
