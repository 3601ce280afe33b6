#ifndef CALSERVE_SERVER_RPC_LIBRARY_LOGS_H_
#define CALSERVE_SERVER_RPC_LIBRARY_LOGS_H_

namespace calserve {

// From here on what gRPC and Protobuf themselves have to say is logged as the server's lines are, a few a
// second of each: they would write to standard error, a line for every handshake that fails and for every
// text of a client that is not UTF-8. GRPC_VERBOSITY says from which severity on gRPC speaks.
void RouteLibraryLogs();

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_LIBRARY_LOGS_H_
